"""Delimited text (CSV, TSV, …) as records with their real line numbers. Knows no field and no shape."""

import io
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from producer.readers.containers.content import Content
from producer.readers.rows import MAX_MISSING_CHARS, MISSING, Picker, Record, Rejected, RowError
from producer.readers.tabular.delimited import Lines, read_records
from producer.readers.tabular.header import Header, find_header, head_of

#: How a line of a transcript begins, after a time or without one.
_LABEL = re.compile(r"\s*(?:[\[(]?[\d:./, apm-]+[\])]?[\s–-]*)?[^\W\d][\w .()'-]{0,40}:\s")


_TORN = "its text has line breaks and no quotes around it. Export it again with quoted cells."


@dataclass(frozen=True, slots=True)
class DelimitedTable:
    """A header and the rows under it."""

    content: Content
    encoding: str
    header: Header

    @property
    def names(self) -> tuple[str, ...]:
        return self.header.names

    @property
    def columns(self) -> tuple[str, ...]:
        return self.header.names

    def records(self) -> Iterator[Record | Rejected]:
        return _without_torn_rows(self._checked(), len(self.names))

    def picker(self, names: Sequence[str | None], optional: Collection[str | None] = ()) -> Picker:
        """As `Table.picker`; a short row may lack the optional columns alone."""
        indices = [len(self.names) if name is None else self.names.index(name) for name in names]
        needed = [index for index, name in zip(indices, names, strict=True) if name and name not in optional]
        num_needed = max(needed, default=-1) + 1
        num_names = len(self.names)

        def pick(cells: Sequence[str]) -> list[str]:
            if len(cells) < num_needed:
                raise RowError(_miscounted(len(cells), num_names))
            padded = (*cells, *[""] * (num_names - len(cells)), "")
            # As `present`, without a call for each cell.
            picked = [padded[index] for index in indices]
            return ["" if len(cell) <= MAX_MISSING_CHARS and cell in MISSING else cell for cell in picked]

        return pick

    def _checked(self) -> Iterator[Record | Rejected]:
        num_names = len(self.names)
        with _open_text(self.content, self.encoding) as stream:
            if self.header.has_sep_line:
                next(stream)
            rows = read_records(
                Lines(stream),
                self.header.delimiter,
                first_line=1 + self.header.has_sep_line,
                has_rows=self.content.is_sheet,
            )
            num_above = self.header.num_above + 1
            for row in rows:
                if isinstance(row, Rejected):
                    yield row
                elif num_above:
                    num_above -= 1
                elif len(row.cells) == num_names and row.cells[-1] != self.names[-1]:
                    yield row
                elif checked := self._check(row):
                    yield checked

    def _check(self, record: Record) -> Record | Rejected | None:
        """The record without empty cells beyond the header; None for the header once more, as of files joined."""
        found, expected = len(record.cells), len(self.names)
        if found > expected:
            if any(record.cells[expected:]):
                return record.rejected(_miscounted(found, expected))
            record = Record(record.line, record.cells[:expected])
        return None if tuple(cell.strip("\ufeff \t") for cell in record.cells) == self.names else record


def read_table(
    content: Content, encoding: str, delimiter: str | None, is_known: Callable[[Sequence[str]], bool]
) -> DelimitedTable:
    """Find the header; without a delimiter, take the one that makes known columns of it, or else the most.

    Raises SourceError if there is no header.
    """
    with _open_text(content, encoding) as stream:
        head = head_of(stream)
    return DelimitedTable(content, encoding, find_header(content, head, delimiter, is_known))


@contextmanager
def _open_text(content: Content, encoding: str) -> Iterator[io.TextIOWrapper]:
    with content.open() as binary, io.TextIOWrapper(binary, encoding, newline="") as stream:
        yield stream


def _miscounted(found: int, expected: int) -> str:
    return f"the row has {found} cells where the header has {expected}."


def _without_torn_rows(rows: Iterator[Record | Rejected], num_names: int) -> Iterator[Record | Rejected]:
    """Reject rows whose text goes on in the lines below, since its line breaks were not quoted: half is worse."""
    first: Record | None = None
    above: Record | None = None
    for row in rows:
        if isinstance(row, Rejected) or above is None or first is None or not _goes_on(first, above, row, num_names):
            if above is not None:
                yield above if above is first else above.rejected(_TORN)
            first = above = None if isinstance(row, Rejected) else row
            if above is None:
                yield row
        else:
            yield above.rejected(_TORN)
            # What comes next may go on, too; `first` is the row in which the text began.
            above = row
    if above is not None:
        yield above if above is first else above.rejected(_TORN)


def _goes_on(first: Record, above: Record, row: Record, num_names: int) -> bool:
    """Whether a row is no row but the next line of the text that began in `first` and reached `above`."""
    if len(row.cells) == 1 and len(above.cells) < num_names:
        return True
    if ":" not in row.cells[0] or not _LABEL.match(row.cells[0]):
        return False
    return _LABEL.match(first.cells[-1]) is not None and not _LABEL.match(first.cells[0])
