"""Tables made of others: several read as one, for turns whose conversation goes on in the next file; the first rows."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from producer.readers.jsonlines import is_json
from producer.readers.rows import Picker, Record, Rejected, Table

#: So many records say how the others are, and so many characters of them: a row may have megabytes beside its text.
_NUM_FIRST = 2_000
_MAX_FIRST_CHARS = 16_000_000


def within(records: Iterator[Record | Rejected]) -> Iterator[Record | Rejected]:
    """The first records, as many as it takes to learn how the others are: one at least."""
    num_chars = 0
    for record in islice(records, _NUM_FIRST):
        yield record
        num_chars += sum(map(len, record.cells if isinstance(record, Record) else record.row))
        if num_chars > _MAX_FIRST_CHARS:
            return


@dataclass(frozen=True, slots=True)
class HeadTable:
    """The first records of a table."""

    table: Table

    @property
    def names(self) -> tuple[str, ...]:
        return self.table.names

    @property
    def has_objects(self) -> bool:
        return is_json(self.table)

    @property
    def columns(self) -> tuple[str, ...]:
        return self.table.columns

    def records(self) -> Iterator[Record | Rejected]:
        return within(self.table.records())

    def picker(self, *args: Any, **options: Any) -> Picker:
        return self.table.picker(*args, **options)


@dataclass(frozen=True, slots=True)
class JoinedTable:
    """Tables of the same columns, their records numbered on."""

    tables: tuple[tuple[str, Table], ...]

    @property
    def names(self) -> tuple[str, ...]:
        return self.tables[0][1].names

    @property
    def has_objects(self) -> bool:
        return is_json(self.first)

    @property
    def columns(self) -> tuple[str, ...]:
        return self.tables[0][1].columns

    @property
    def first(self) -> Table:
        """One of them, by which the format is known."""
        return self.tables[0][1]

    def records(self) -> Iterator[Record | Rejected]:
        offset = 0
        for name, table in self.tables:
            last = 0
            for record in table.records():
                last = record.line
                numbered = replace(record, line=offset + record.line)
                if isinstance(numbered, Rejected):
                    numbered = replace(numbered, reason=f"{name}, line {last}: {numbered.reason}")
                yield numbered
            offset += last

    def picker(self, *args: Any, **options: Any) -> Picker:
        return self.first.picker(*args, **options)
