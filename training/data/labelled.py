"""Reads labelled conversations of any shape that `aftercall submit` reads, with their summaries.

A row that cannot be used goes to SOURCE.rejected.csv with its line and reason, and the others are trained on.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from aftercall.errors import AftercallError, SourceError
from producer.readers.rows import Rejected, SourceRow
from producer.rejected import RejectedFile
from producer.source import Source, SourceOptions, open_source
from training.data.chat_rows import readable_rows
from training.data.example import Example, Pair, example_from_dialogstudio, example_from_service, make_example
from training.data.service import is_service_row

#: Columns that a summary is looked for in, in this order.
SUMMARY_COLUMNS = ("summary", "summaries", "reference", "references", "abstract", "tldr")
#: The column of the summary that a person corrected, which the row's own summary is preferred to.
SERVED_COLUMN = "served"
#: The columns of the training files that `aftercall review import` writes.
OWN_COLUMNS = {"transcript": "conversation"}
_DIALOGSTUDIO_KEYS = frozenset({"original dialog info", "log"})


@dataclass(frozen=True, slots=True)
class RejectedRows:
    """The rows of a source that were left out."""

    num_rows: int
    #: Where they are listed; None if no file could be written there.
    path: Path | None
    #: Line and reason of the first one.
    first: str


@dataclass(frozen=True, slots=True)
class Reading:
    """How labelled data is read, and what was rejected on the way."""

    options: SourceOptions = field(default_factory=SourceOptions)
    #: The column, or key in JSON, of the summary; None: the first of `SUMMARY_COLUMNS` that there is.
    summary_column: str | None = None
    #: By source; filled while reading.
    rejected: dict[str, RejectedRows] = field(default_factory=dict)


def read_labelled(path: Path, split: str, reading: Reading) -> list[Example]:
    """The examples of a file, or of a folder that `save_to_disk` wrote.

    Raises SourceError, with line and reason, if it cannot be read as a whole or has no usable row.
    """
    with readable_rows(path, split) as readable, _open(readable, reading) as source:
        columns = tuple(source.columns)
        outcomes = list(_read(source, reading))
    examples = [outcome for outcome in outcomes if isinstance(outcome, Example)]
    rejected = [outcome for outcome in outcomes if isinstance(outcome, Rejected)]
    if not outcomes:
        raise SourceError(f"{path}: no labelled conversation; expected at least one row with a summary")
    if rejected:
        first = f"{path}, line {rejected[0].line}: {rejected[0].reason}"
        if not examples:
            raise SourceError(first)
        reading.rejected[str(path)] = RejectedRows(len(rejected), _write_rejected(path, columns, rejected), first)
    return examples


def _open(path: Path, reading: Reading) -> Source:
    try:
        return open_source(str(path), reading.options)
    except SourceError as error:
        if reading.options.mapping or reading.options.layout:
            raise
        with suppress(SourceError):
            return open_source(str(path), replace(reading.options, mapping=OWN_COLUMNS))
        raise error from None


def _read(source: Source, reading: Reading) -> Iterator[Example | Rejected]:
    for outcome in source:
        if isinstance(outcome, Rejected):
            yield outcome
            continue
        try:
            yield _read_row(source.columns, outcome, reading.summary_column)
        except SourceError as error:
            yield Rejected(outcome.line, str(error), outcome.row)


def _read_row(columns: Sequence[str], row: SourceRow, summary_column: str | None) -> Example:
    cells = _cells(columns, row.row)
    if cells.keys() >= _DIALOGSTUDIO_KEYS:
        return example_from_dialogstudio(cells)
    if is_service_row(cells) and not summary_column:
        return example_from_service(cells)
    references = _find_references(cells, summary_column)
    example = make_example(row.conversation.external_id, row.conversation.turns, references)
    return replace(example, pairs=_find_pairs(cells, example.references))


def _find_pairs(cells: Mapping[str, Any], references: Sequence[str]) -> tuple[Pair, ...]:
    served = cells.get(SERVED_COLUMN)
    rejected = " ".join(served.split()) if isinstance(served, str) else ""
    return tuple(Pair(chosen, rejected) for chosen in references if rejected and chosen != rejected)


def _cells(columns: Sequence[str], row: Sequence[str]) -> Mapping[str, Any]:
    """A row's cells by column; a row of JSON Lines is its one line."""
    if not row:
        raise SourceError(
            "a conversation in several rows has no summary that is known to be its own; give one row per conversation"
        )
    if len(row) == 1 and row[0].lstrip().startswith("{"):
        document: dict[str, Any] = json.loads(row[0])
        return document
    return dict(zip(columns, row, strict=False))


def _find_references(cells: Mapping[str, Any], summary_column: str | None) -> list[str]:
    names = (summary_column,) if summary_column else SUMMARY_COLUMNS
    by_name = {name.strip().casefold(): value for name, value in cells.items()}
    found = [by_name[name.casefold()] for name in names if name.casefold() in by_name]
    if not found:
        raise SourceError(
            f"no column {' or '.join(names)}; it has {', '.join(cells)}. Name the summary's with --summary-column"
        )
    values = found[0] if isinstance(found[0], list) else [found[0]]
    if not all(isinstance(value, str) for value in values):
        raise SourceError(f"the summary is {found[0]!r}, not text or a list of texts")
    return [value for value in values if value.strip()]


def _write_rejected(path: Path, columns: Sequence[str], rejected: Sequence[Rejected]) -> Path | None:
    target = path.with_name(f"{path.name}.rejected.csv")
    try:
        with RejectedFile(target, columns) as file:
            for row in rejected:
                file.write(row)
    except (OSError, AftercallError):
        # Data may lie where this user cannot write, and that must not keep the sound rows from training.
        return None
    return target
