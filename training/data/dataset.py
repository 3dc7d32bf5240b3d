"""Finds the labelled conversations that `--data` names: on the hub, in a folder of splits, or in a file."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

from aftercall.conversation import Turn, parse_turns
from aftercall.errors import SourceError
from training.data.chat_rows import has_splits, is_saved_dataset
from training.data.csv_rows import read_rows
from training.data.example import Example, example_from_dialogstudio, make_example, redact_example
from training.data.labelled import Reading, read_labelled

__all__ = ["HUB_NAME", "Example", "digest_examples", "is_split_source", "load_examples", "read_training_csv"]

#: The name of DialogStudio's TweetSumm for `load_dataset`.
HUB_NAME = "Salesforce/dialogstudio"
HUB_CONFIG = "TweetSumm"
HUB_SHUFFLE_SEED = 42
#: Endings of files that are no data.
_NO_DATA = (".rejected.csv", "~")

DEFAULT_READING = Reading()


def load_examples(data: str, split: str, reading: Reading = DEFAULT_READING) -> list[Example]:
    """The examples of one split.

    Args:
        data: `Salesforce/dialogstudio` (the hub's TweetSumm), a folder with a file per split, a folder that
            `save_to_disk` wrote, or a file that `aftercall submit` reads.
        split: `train`, `validation` or `test`.
        reading: how files are read; collects the rows that were rejected.

    Raises SourceError, with file and line, if there are none.
    """
    if data == HUB_NAME:
        examples = list(_from_hub(split))
    else:
        examples = read_labelled(_find_file(Path(data), split), split, reading)
    return [redact_example(example, reading.options.redact) for example in examples]


def is_split_source(data: str) -> bool:
    """Whether a source has splits of its own."""
    path = Path(data)
    return data == HUB_NAME or (path.is_dir() and (has_splits(path) or not is_saved_dataset(path)))


def digest_examples(examples: Iterable[Example]) -> str:
    """One digest of all conversations, references, fields and preferences; an adapter's manifest records it."""
    digest = sha256()
    for example in examples:
        labels = [asdict(example.labels)] if example.labels else []
        pairs = list(map(asdict, example.pairs))
        line = json.dumps([example.text, *example.references, *labels, *pairs], ensure_ascii=False)
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()


def read_training_csv(path: Path) -> list[Example]:
    """The rows of a training file that we wrote: `conversation` (`user:` and `agent:` lines) and `summary`.

    Raises SourceError for the first row that is not one.
    """
    examples = []
    for where, row in read_rows(path, {"conversation", "summary"}, "conversation,summary"):
        try:
            turns = _parse_cell(row["conversation"])
            examples.append(make_example(row.get("id") or where, turns, [row["summary"]]))
        except (SourceError, ValueError) as error:
            raise SourceError(f"{where}: {error}") from error
    return examples


def _parse_cell(text: str) -> tuple[Turn, ...]:
    return parse_turns("".join(f"{line.strip()}\n" for line in text.splitlines() if line.strip()))


def _find_file(path: Path, split: str) -> Path:
    if path.is_file() or (is_saved_dataset(path) and not has_splits(path)):
        if split == "test":
            raise SourceError(
                f"{path}: a single file has no test split; use --split validation, or a folder with test.jsonl"
            )
        return path
    if is_saved_dataset(path):
        return path
    found = sorted(
        each
        for pattern in (f"{split}.*", f"{split}-*.parquet")
        for each in path.glob(pattern)
        if not each.name.endswith(_NO_DATA)
    )
    if not found:
        raise SourceError(
            f"{path}: neither a file nor a folder with {split}.jsonl, {split}.csv or another file of that name; check "
            "--data"
        )
    if len(found) > 1:
        raise SourceError(f"{path} has {len(found)} files for {split}: {found[0].name}, {found[1].name}; keep one")
    return found[0]


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
        try:
            yield example_from_dialogstudio(row)
        except SourceError as error:
            raise SourceError(f"{HUB_NAME} {split} row {number}: {error}") from error
