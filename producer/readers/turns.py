"""Records that are a turn each, in any order. Grouped on disk, by conversation.

Rejected rows come first, then the conversations, in the order in which their first rows appear, each with its turns
in the order of their lines. Rows that repeat an earlier one of the conversation, cell for cell, are counted and left.
"""

from collections.abc import Callable, Iterator
from itertools import chain, groupby
from operator import itemgetter
from typing import Any

from producer.readers.conversations import too_long
from producer.readers.items import ItemReader
from producer.readers.jsonlines import is_json, parse_object
from producer.readers.raw import RawConversation, RawRow, RawTurn
from producer.readers.rows import Record, Rejected, RowError, Table
from producer.readers.scratch import open_scratch, stage
from producer.readers.tables import TableRow

#: One place a turn: the first line of its conversation, then its own.
_PLACE = "INSERT INTO place SELECT min(line) OVER (PARTITION BY id), line FROM staged ORDER BY 1, 2"
_READ = "SELECT place.first, staged.* FROM place CROSS JOIN staged USING (line) ORDER BY place.first, place.line"

_Parse = Callable[[tuple[str, ...]], Any]


def read_turns(table: Table, reader: ItemReader, max_chars: int) -> Iterator[RawRow | Rejected]:
    """Every conversation that the rows make; a row that belongs to none is rejected alone."""
    parse = _parser(table, reader)
    with open_scratch() as scratch:
        yield from stage(scratch, table, "id", lambda record: _place(record, parse, reader))
        scratch.execute("CREATE TABLE place (first, line, PRIMARY KEY (first, line)) WITHOUT ROWID")
        scratch.execute(_PLACE)
        for _, rows in groupby(scratch.execute(_READ), itemgetter(0)):
            yield from _assemble(rows, parse, reader, max_chars)


def _parser(table: Table, reader: ItemReader) -> _Parse:
    if is_json(table):
        return lambda cells: parse_object(cells[0])
    return TableRow(table, reader.needed(table))


def _place(record: Record, parse: _Parse, reader: ItemReader) -> tuple[str]:
    return (reader.take_id(parse(record.cells), record.line),)


def _assemble(
    rows: Iterator[tuple[Any, ...]], parse: _Parse, reader: ItemReader, max_chars: int
) -> Iterator[RawRow | Rejected]:
    """One conversation from its rows; if it can't be read all of them are rejected, and no more than fits is held."""
    held: list[Record] = []
    turns: list[RawTurn] = []
    seen: set[int] = set()
    num_chars = num_duplicates = reader.num_unreadable = 0
    for row in rows:
        external_id, record = row[2], Record(row[1], row[3:])
        held.append(record)
        try:
            turn = reader.turn(parse(record.cells))
        except RowError as error:
            yield from _reject(held, rows, f"{error} The conversation is rejected whole." if held[1:] else str(error))
            return
        if turn is None:
            continue
        if turn.time is not None:
            if (digest := hash(record.cells)) in seen:
                num_duplicates += 1
                continue
            seen.add(digest)
        turns.append(turn)
        num_chars += len(turn.text) + 1
        if num_chars > max_chars:
            yield from _reject(held, rows, too_long(max_chars))
            return
    origin = tuple((record.line, record.cells) for record in held)
    conversation = RawConversation(external_id, tuple(turns))
    yield RawRow(held[0].line, conversation, origin, reader.num_unreadable, num_duplicates)


def _reject(held: list[Record], rows: Iterator[tuple[Any, ...]], reason: str) -> Iterator[Rejected]:
    rest = (Record(row[1], row[3:]) for row in rows)
    for record in chain(held, rest):
        yield record.rejected(reason)
