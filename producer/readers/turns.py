"""Records that are a turn each, in any order. Grouped on disk, by conversation.

Rejected rows come first, then the conversations, in the order in which their first rows appear, each with its turns
in the order of their lines. Rows that repeat an earlier one of the conversation, cell for cell, are counted and left.
"""

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from itertools import groupby
from operator import itemgetter
from typing import Any

from producer.readers.conversations import too_long
from producer.readers.jsonlines import is_json, parse_object
from producer.readers.layouts.items import ItemReader
from producer.readers.raw import RawConversation, RawRow, RawTurn, RowOrigin
from producer.readers.rows import Record, Rejected, RowError, Table
from producer.readers.scratch import open_scratch, stage
from producer.readers.tables import TableRow, resolver

#: One place a turn: the first line of its conversation, then its own.
_PLACE = "INSERT INTO place SELECT min(line) OVER (PARTITION BY id), line FROM staged ORDER BY 1, 2"
_READ = "SELECT place.first, staged.* FROM place CROSS JOIN staged USING (line) ORDER BY place.first, place.line"

_READ_ONE = "SELECT staged.* FROM place CROSS JOIN staged USING (line) WHERE place.first = ? ORDER BY place.line"

_Parse = Callable[[tuple[str, ...]], Any]


def read_turns(table: Table, reader: ItemReader, max_chars: int) -> Iterator[RawRow | Rejected]:
    """Every conversation that the rows make; a row that belongs to none is rejected alone."""
    parse = _parser(table, reader)
    with open_scratch() as scratch:
        yield from stage(scratch, table, "id", _placer(table, parse, reader))
        scratch.execute("CREATE TABLE place (first, line, PRIMARY KEY (first, line)) WITHOUT ROWID")
        scratch.execute(_PLACE)
        for first, rows in groupby(scratch.execute(_READ), itemgetter(0)):
            yield from _assemble(rows, _Rows(scratch, first), parse, reader, max_chars)


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows of one conversation, read once more; they are not held, since they may be far more than what is said."""

    scratch: sqlite3.Connection
    first: int

    def __call__(self) -> Iterator[RowOrigin]:
        for row in self.scratch.execute(_READ_ONE, (self.first,)):
            yield row[0], row[2:]

    def rejected(self, reason: str) -> Iterator[Rejected]:
        """All of them, with the reason."""
        for line, cells in self():
            yield Rejected(line, reason, cells)


def _parser(table: Table, reader: ItemReader) -> _Parse:
    if is_json(table):
        return lambda cells: parse_object(cells[0])
    return TableRow(table, reader.needed(table), reader.used(table))


def _placer(table: Table, parse: _Parse, reader: ItemReader) -> Callable[[Record], tuple[str]]:
    """What takes the conversation's id from a record: from its column, where it has one."""
    columns = None if is_json(table) else resolver(table.names)
    column = columns.column(reader.layout.id) if columns and reader.layout.id else None
    if column is None:
        return lambda record: (reader.take_id(parse(record.cells), record.line),)
    others = reader.needed(table) - {column}
    pick = table.picker((column, *others))
    return lambda record: (reader.take_key(pick(record.cells)[0], record.line),)


def _assemble(
    rows: Iterator[tuple[Any, ...]], origin: _Rows, parse: _Parse, reader: ItemReader, max_chars: int
) -> Iterator[RawRow | Rejected]:
    """One conversation from its rows; if one of them can't be read all are rejected: half a conversation misleads."""
    turns: list[RawTurn] = []
    external_id = ""
    repeats = _Repeats()
    num_chars = reader.num_unreadable = 0
    for row in rows:
        external_id, cells = row[2], row[3:]
        try:
            turn = reader.turn(parse(cells))
        except RowError as error:
            yield from origin.rejected(str(error))
            return
        if repeats.has(cells, turn.time):
            continue
        turns.append(turn)
        num_chars += len(turn.text) + 1
        if num_chars > max_chars:
            yield from origin.rejected(too_long(max_chars))
            return
    yield RawRow(
        origin.first,
        RawConversation(external_id, tuple(turns)),
        origin,
        num_unreadable=reader.num_unreadable,
        num_repeats=repeats.num,
    )


class _Repeats:
    """Rows that are there twice, as where two exports overlap: all of their cells are those of an earlier row.

    Without a time only the row above counts: people do say "ok" twice.
    """

    def __init__(self) -> None:
        self.num = 0
        self._seen: set[bytes] = set()
        self._above = b""

    def has(self, cells: tuple[str, ...], time: float | None) -> bool:
        """Whether this row repeats one."""
        digest = blake2b("\0".join(cells).encode("utf-8", "surrogatepass"), digest_size=16).digest()
        is_repeat = digest == self._above if time is None else digest in self._seen
        self._above = digest
        self._seen.add(digest)
        self.num += is_repeat
        return is_repeat
