"""Delimited text (CSV, TSV, …) as records with their real line numbers. Knows no field and no shape."""

import csv
import io
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from aftercall.errors import SourceError
from producer.readers.content import Content
from producer.readers.rows import Picker, Record, Rejected

DELIMITERS = (",", ";", "\t", "|")

#: A quoted cell that is longer was never closed. The module's own limit of 131,072 is less than a long transcript.
MAX_CELL_CHARS = 32 << 20
_HEAD_CHARS = 1 << 16


@dataclass(frozen=True, slots=True)
class DelimitedTable:
    """A header and the rows under it."""

    content: Content
    encoding: str
    delimiter: str
    names: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        return self.names

    def records(self) -> Iterator[Record | Rejected]:
        with _open_text(self.content, self.encoding) as stream:
            rows = _rows(_Lines(stream), self.delimiter)
            next(rows, None)
            for row in rows:
                yield row if isinstance(row, Rejected) else self._check(row)

    def _check(self, record: Record) -> Record | Rejected:
        found, expected = len(record.cells), len(self.names)
        if found == expected:
            return record
        return record.rejected(f"the row has {found} cells where the header has {expected}.")

    def picker(self, names: Sequence[str | None]) -> Picker:
        indices = [len(self.names) if name is None else self.names.index(name) for name in names]

        def pick(cells: Sequence[str]) -> list[str]:
            padded = (*cells, "")
            return [padded[index] for index in indices]

        return pick


def read_table(
    content: Content, encoding: str, delimiter: str | None, is_known: Callable[[Sequence[str]], bool]
) -> DelimitedTable:
    """Read the header; without a delimiter, take the one that makes known columns of it, or else the most.

    Raises SourceError if there is no header.
    """
    candidates = [delimiter] if delimiter else DELIMITERS
    found = {candidate: _read_header(content, encoding, candidate) for candidate in candidates}
    headers = {candidate: names for candidate, names in found.items() if names}
    if not headers:
        raise SourceError(f"{content.name}: the file is empty but for white space.")
    best = max(headers, key=lambda candidate: (is_known(headers[candidate]), len(headers[candidate])))
    return DelimitedTable(content, encoding, best, headers[best])


@contextmanager
def _open_text(content: Content, encoding: str) -> Iterator[io.TextIOWrapper]:
    with content.open() as binary, io.TextIOWrapper(binary, encoding, newline="") as stream:
        yield stream


def _read_header(content: Content, encoding: str, delimiter: str) -> tuple[str, ...]:
    with _open_text(content, encoding) as stream:
        head = io.StringIO(stream.read(_HEAD_CHARS), newline="")
    first = next(_rows(_Lines(head), delimiter), None)
    return tuple(name.strip("\ufeff \t") for name in first.cells) if isinstance(first, Record) else ()


class _Lines:
    """Lines, of which those taken for a broken record can be given back."""

    def __init__(self, stream: Iterator[str]) -> None:
        self._stream = stream
        self._given_back: deque[str] = deque()
        self.taken: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._given_back.popleft() if self._given_back else next(self._stream)
        self.taken.append(line)
        return line

    def give_back(self) -> None:
        """All but the first: the record broke there, and what follows may be sound."""
        self._given_back.extendleft(reversed(self.taken[1:]))
        del self.taken[1:]


def _rows(lines: _Lines, delimiter: str) -> Iterator[Record | Rejected]:
    """Every record but the blank ones, the header first. One broken record costs its own line only."""
    # The limit is the process', and a source may be read in another one than it was opened in.
    csv.field_size_limit(MAX_CELL_CHARS)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    line = 1
    while True:
        try:
            cells = next(reader)
            if any(cells) and not (len(cells) == 1 and cells[0].isspace()):
                yield Record(line, tuple(cells))
        except StopIteration:
            return
        except csv.Error as error:
            lines.give_back()
            what = str(error).replace("\t", "tab")
            yield Rejected(line, f"the quoting is broken ({what}).", (lines.taken[0].rstrip("\r\n"),))
        line += len(lines.taken)
        lines.taken.clear()
