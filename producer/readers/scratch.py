"""Disk space for grouping rows that come in any order: a temporary SQLite database, so that memory stays flat.

Lies in the folder for temporary files (TMPDIR), needs about as much room as the source, and is gone when closed.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

from aftercall.errors import SourceError

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


def cell_columns(num_cells: int) -> str:
    """Column names for the cells of a row, as SQL: `c0, c1, …`."""
    if num_cells > _MAX_CELLS:
        raise SourceError(f"the header has {num_cells:,} columns; export at most {_MAX_CELLS:,}.")
    return ", ".join(f"c{index}" for index in range(num_cells))


def insert_into(table: str, num_values: int) -> str:
    """The statement that inserts one row, unless a unique value of it is there already."""
    return f"INSERT OR IGNORE INTO {table} VALUES ({', '.join('?' * num_values)})"  # noqa: S608 - our own names
