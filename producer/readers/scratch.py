"""Disk space for grouping rows that come in any order: a temporary SQLite database, so that memory stays flat.

Lies in the folder for temporary files (TMPDIR), needs about as much room as the source, and is gone when closed.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

from aftercall.errors import SourceError
from producer.readers.rows import Record, Rejected, RowError, Table

_CACHE_KIB = 32 << 10
#: SQLite takes 2,000 columns a table; a few are ours.
_MAX_CELLS = 1_900


@contextmanager
def open_scratch() -> Iterator[sqlite3.Connection]:
    """A private database that needs to survive nothing.

    Raises SourceError if the disk is full.
    """
    with closing(sqlite3.connect("", isolation_level=None)) as scratch:
        scratch.execute("PRAGMA journal_mode = OFF")
        scratch.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        scratch.execute("BEGIN")
        try:
            yield scratch
        except sqlite3.OperationalError as error:
            raise SourceError(f"grouping the rows failed ({error}); is there room in the folder TMPDIR?") from None


def stage(
    scratch: sqlite3.Connection, table: Table, columns: str, place: Callable[[Record], tuple[Any, ...]]
) -> Iterator[Rejected]:
    """Write every sound row to the table `staged`: its line, its place, its cells. Gives those that are not.

    Args:
        columns: names of the place's columns as SQL; one that is UNIQUE rejects a row that repeats it.
        place: the row's place, its first value an id; raises RowError for a row that is not sound.
    """
    num_cells = len(table.columns)
    scratch.execute(f"CREATE TABLE staged (line INTEGER PRIMARY KEY, {columns}, {_cell_columns(num_cells)})")
    num_values = 2 + columns.count(",") + num_cells
    insert = f"INSERT OR IGNORE INTO staged VALUES ({', '.join('?' * num_values)})"  # noqa: S608 - our own names
    for record in table.records():
        if isinstance(record, Rejected):
            yield record
            continue
        try:
            # A row that was cut short after its last filled cell is whole here.
            values = (record.line, *place(record), *record.cells, *[""] * (num_cells - len(record.cells)))
        except RowError as error:
            yield record.rejected(error)
        else:
            if not scratch.execute(insert, values).rowcount:
                yield record.rejected(f"the id {values[1]!r} stands in an earlier row.")


def _cell_columns(num_cells: int) -> str:
    if num_cells > _MAX_CELLS:
        raise SourceError(f"the header has {num_cells:,} columns; export at most {_MAX_CELLS:,}.")
    return ", ".join(f"c{index}" for index in range(num_cells))
