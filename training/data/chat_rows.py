"""Rewrites training files of other libraries as JSON Lines that the producer's readers take.

Parquet files and folders of `save_to_disk` become one JSON object a line. Rows of `prompt` and `completion`, of
`prompt`, `chosen` and `rejected`, and chat `messages` that end with the assistant's summary, become rows of
`conversation` and `summary`. Line numbers stay.
"""

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from aftercall.errors import SourceError
from aftercall.profile import TWEETSUMM

#: Where the conversation starts in the template that prompts may be written in.
_INPUT_HEADER = "### Input:"
#: Names of a folder that `datasets` saved: of splits, and of one split.
_SAVED = ("dataset_dict.json", "state.json")
#: Keys of training libraries' rows.
_FOREIGN_KEYS = ("messages", "prompt", "completion", "chosen", "rejected")
#: Keys under which a row of `messages` has its summary outside of them.
_SUMMARY_KEYS = ("summary", "summaries", "reference", "references")


def is_saved_dataset(path: Path) -> bool:
    """Whether a folder is one that `save_to_disk` wrote."""
    return any((path / name).is_file() for name in _SAVED)


def has_splits(path: Path) -> bool:
    """Whether a folder that `save_to_disk` wrote holds several splits."""
    return (path / _SAVED[0]).is_file()


@contextmanager
def readable_rows(path: Path, split: str) -> Iterator[Path]:
    """`path` itself, or a temporary file of the same rows; SourceError if it cannot be read."""
    rows = _open_rows(path, split)
    first = next(rows, None) if rows is not None else None
    if rows is None or first is None or (_is_text(path) and not _is_foreign(first)):
        yield path
        return
    with TemporaryDirectory() as folder:
        converted = Path(folder) / f"{path.name.removesuffix('.gz').rpartition('.')[0] or path.name}.jsonl"
        with converted.open("w", encoding="utf-8") as file:
            for number, row in enumerate(chain([first], rows), start=1):
                file.write(json.dumps(_convert(row, number), ensure_ascii=False, default=str) + "\n")
        yield converted


def _open_rows(path: Path, split: str) -> Iterator[Any] | None:
    """The rows of a format that may have to be converted; None for others."""
    if path.is_dir():
        return _saved_rows(path, split)
    if path.suffix.casefold() == ".parquet":
        return _parquet_rows(path)
    return _json_rows(path) if _is_text(path) else None


def _is_text(path: Path) -> bool:
    return Path(path.name.removesuffix(".gz")).suffix.casefold() in (".jsonl", ".ndjson", ".json")


def _json_rows(path: Path) -> Iterator[Any]:
    """Each line's object; what is none stays text, for the reader to reject."""
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        try:
            for line in lines:
                try:
                    yield json.loads(line) if line.strip() else {}
                except ValueError:
                    yield line.rstrip("\n")
        except (OSError, UnicodeDecodeError):
            # The producer's reader finds the encoding, or says what is wrong with the file.
            return


def _parquet_rows(path: Path) -> Iterator[Any]:
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as table:
            for batch in table.iter_batches():
                yield from batch.to_pylist()
    except (ArrowException, OSError) as error:
        raise SourceError(f"{path} cannot be read as Parquet: {error}") from error


def _saved_rows(path: Path, split: str) -> Iterator[Any]:
    from datasets import DatasetDict, load_from_disk

    try:
        loaded = load_from_disk(str(path))
    except (OSError, ValueError) as error:
        raise SourceError(f"{path} cannot be read as a dataset saved to disk: {error}") from error
    if isinstance(loaded, DatasetDict):
        if split not in loaded:
            raise SourceError(f"{path} has the splits {', '.join(loaded)} and no {split}; name the splits so")
        loaded = loaded[split]
    yield from loaded


def _is_foreign(row: object) -> bool:
    """Whether a row is in a training library's format."""
    if not isinstance(row, Mapping):
        return False
    if {"prompt", "completion"} <= row.keys() or {"prompt", "chosen", "rejected"} <= row.keys():
        return True
    return bool(
        "messages" in row and not any(key in row for key in _SUMMARY_KEYS) and _find(row["messages"], "assistant") != ""
    )


def _convert(row: Any, number: int) -> Any:
    if not _is_foreign(row):
        return row
    if "messages" in row:
        conversation, summary = _find(row["messages"], "user"), _find(row["messages"], "assistant")
    else:
        conversation = _text(row["prompt"], "user")
        summary = _text(row["chosen"] if "chosen" in row else row["completion"], "assistant")
    converted = {
        "id": f"row {number}",
        **{key: value for key, value in row.items() if key not in _FOREIGN_KEYS},
        "conversation": _unwrap(conversation),
        "summary": _cut(summary),
    }
    # A preference dataset: the rejected text is what the chosen one is preferred to.
    return converted | {"served": _cut(_text(row["rejected"], "assistant"))} if "rejected" in row else converted


def _text(value: Any, role: str) -> str:
    return value if isinstance(value, str) else _find(value, role)


def _cut(completion: str) -> str:
    return completion.partition(TWEETSUMM.stop)[0].strip()


def _find(messages: object, role: str) -> str:
    """The last text that a role says; empty if it says none."""
    texts = [
        message["content"]
        for message in (messages if isinstance(messages, Iterable) else ())
        if isinstance(message, Mapping) and message.get("role") == role and isinstance(message.get("content"), str)
    ]
    return texts[-1] if texts else ""


def _unwrap(prompt: str) -> str:
    """The conversation in a prompt that may be written in our template."""
    return prompt.rpartition(_INPUT_HEADER)[2].partition(TWEETSUMM.response_header)[0].strip()
