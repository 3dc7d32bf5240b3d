"""Labelled conversations: what training and judgement read, whatever file they stand in.

Cleans with the producer's own functions, so that the model is trained on what it is served. Knows no tokens and no
model.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from aftercall.conversation import Conversation, Turn, parse_turns
from aftercall.errors import SourceError
from producer.clean import clean_turns
from training.data.csv_rows import read_rows
from training.data.service import Labels, is_service_row, read_service_row

#: DialogStudio's TweetSumm, by the name `load_dataset` knows it.
HUB_NAME = "Salesforce/dialogstudio"
HUB_CONFIG = "TweetSumm"
HUB_SHUFFLE_SEED = 42


@dataclass(frozen=True, slots=True)
class Example:
    """One cleaned conversation and what people wrote about it."""

    conversation: Conversation
    #: One summary a person; at least one.
    references: tuple[str, ...]
    #: The fields that a person filled in; None where the data has none.
    labels: Labels | None = None

    @property
    def text(self) -> str:
        """The conversation as the prompt holds it."""
        return self.conversation.text


def load_examples(data: str, split: str) -> list[Example]:
    """The examples of one split.

    Args:
        data: `Salesforce/dialogstudio` (the hub's TweetSumm), a folder of `SPLIT.jsonl` or `SPLIT.csv`, or a file.
        split: `train`, `validation` or `test`.

    Raises SourceError, with file and line, if there are none or a row is not one.
    """
    if data == HUB_NAME:
        return _require(list(_from_hub(split)), f"{HUB_NAME} ({HUB_CONFIG}), split {split}")
    path = _find_file(Path(data), split)
    read = _from_csv if path.suffix.casefold() == ".csv" else _from_jsonl
    return _require(list(read(path)), str(path))


def digest_examples(examples: Iterable[Example]) -> str:
    """One digest of all conversations, references and fields: what an adapter's manifest says it was trained on."""
    digest = sha256()
    for example in examples:
        labels = [asdict(example.labels)] if example.labels else []
        line = json.dumps([example.text, *example.references, *labels], ensure_ascii=False)
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()


def example_from_dialogstudio(row: Mapping[str, Any], where: str) -> Example:
    """One row with DialogStudio's columns: the `log` of utterances, and the summaries inside `original dialog info`.

    Raises SourceError, which begins with `where`, if it is no such row or has no conversation or no summary in it.
    """
    try:
        info = json.loads(row["original dialog info"])
        summaries = [_join_sentences(summary) for summary in _list(info["summaries"]["abstractive_summaries"])]
        turns = [turn for entry in row["log"] for turn in _turns_of_entry(entry)]
        name = str(row["original dialog id"])
    except (KeyError, TypeError, ValueError) as error:
        raise SourceError(
            f"{where}: not a DialogStudio row ({error!r}); expected the columns 'original dialog id', 'log' and "
            "'original dialog info' with its 'summaries'"
        ) from error
    return _make_example(name, turns, summaries, where)


def _example_from_service(row: Mapping[str, Any], where: str) -> Example:
    read = read_service_row(row, where)
    return replace(_make_example(read.name, read.turns, read.references, where), labels=read.labels)


def _turns_of_entry(entry: Mapping[str, Any]) -> tuple[Turn, Turn]:
    return Turn("user", _text(entry["user utterance"])), Turn("agent", _text(entry["system response"]))


def _join_sentences(summary: Any) -> str:
    return " ".join(map(_text, _list(summary)))


def _list(value: Any) -> Any:
    """A text alone is a list of one: taken for a list itself, it would be one of letters."""
    return [value] if isinstance(value, str) else value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _make_example(name: str, turns: Iterable[Turn], references: Iterable[str], where: str) -> Example:
    conversation = Conversation(name, clean_turns(turns))
    spoken = tuple(text for reference in references if (text := " ".join(reference.split())))
    if not conversation.turns:
        raise SourceError(f"{where}: the conversation is empty once cleaned; remove the row")
    if not spoken:
        raise SourceError(f"{where}: a conversation without a summary; add one or remove the row")
    if any(reference == " ".join(conversation.text.split()) for reference in spoken):
        raise SourceError(f"{where}: the summary is the conversation itself; write a summary or remove the row")
    return Example(conversation, spoken)


def _find_file(path: Path, split: str) -> Path:
    if path.is_file():
        if split == "test":
            raise SourceError(
                f"{path}: a single file has no test split; use --split validation, or a folder with test.jsonl"
            )
        return path
    for candidate in (path / f"{split}.jsonl", path / f"{split}.csv"):
        if candidate.is_file():
            return candidate
    raise SourceError(f"{path}: neither a file nor a folder with {split}.jsonl or {split}.csv; check --data")


def _from_hub(split: str) -> Iterator[Example]:
    from datasets import load_dataset
    from datasets.exceptions import DatasetsError

    try:
        rows = load_dataset(HUB_NAME, HUB_CONFIG, split=split).shuffle(seed=HUB_SHUFFLE_SEED)
    except (OSError, RuntimeError, ValueError, DatasetsError) as error:
        line = str(error).strip().split("\n", maxsplit=1)[0]
        raise SourceError(
            f"{HUB_NAME} cannot be read: {line}. Give --data a folder of its rows as train.jsonl and validation.jsonl "
            "(and test.jsonl); docs/training.md shows how to fetch them."
        ) from error
    for number, row in enumerate(rows, start=1):
        yield example_from_dialogstudio(row, f"{HUB_NAME} {split} row {number}")


def _from_jsonl(path: Path) -> Iterator[Example]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            where = f"{path}, line {number}"
            try:
                row = json.loads(line)
            except ValueError as error:
                raise SourceError(f"{where}: not JSON ({error}); expected one object a line") from error
            yield _example_from_service(row, where) if is_service_row(row) else example_from_dialogstudio(row, where)


def _from_csv(path: Path) -> Iterator[Example]:
    """A table of `conversation` (its `user:`/`agent:` lines) and `summary`, one reference a row."""
    for where, row in read_rows(path, {"conversation", "summary"}, "conversation,summary"):
        turns = _parse_cell(row["conversation"], where)
        yield _make_example(row.get("id") or where, turns, [row["summary"]], where)


def _parse_cell(text: str, where: str) -> tuple[Turn, ...]:
    lines = "".join(f"{line.strip()}\n" for line in text.splitlines() if line.strip())
    try:
        return parse_turns(lines)
    except ValueError as error:
        raise SourceError(f"{where}: {error}") from error


def _require(examples: list[Example], where: str) -> list[Example]:
    if not examples:
        raise SourceError(f"{where}: no labelled conversation; expected at least one row with a summary")
    return examples
