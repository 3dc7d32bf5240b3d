"""Shape two: a row is a turn, rows come in any order. Grouped on disk, by conversation.

Inside a conversation the turns stand in time order if each of them has a time that can be read, or else in the order
of their lines. Rejected rows come first, then the conversations, in the order in which their first rows appear.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any

from aftercall.conversation import Conversation, Turn
from producer.readers.columns import Columns
from producer.readers.conversations import too_long
from producer.readers.repeats import without_repeats
from producer.readers.rows import Outcome, Record, SourceRow, Table, take_id, take_text
from producer.readers.scratch import open_scratch, stage
from producer.readers.speakers import take_inbound, take_speaker
from producer.readers.times import parse_time

#: One place a turn: the first line of its conversation, then its time (0 where times are not to be trusted).
_PLACE = """
INSERT INTO place
SELECT min(line) OVER conversation,
       CASE WHEN count(time) OVER conversation = count(*) OVER conversation THEN time ELSE 0 END,
       line
FROM staged WINDOW conversation AS (PARTITION BY id) ORDER BY 1, 2, 3
"""
_READ = """
SELECT place.first, staged.* FROM place CROSS JOIN staged USING (line) ORDER BY place.first, place.time, place.line
"""
_ROWS_OF_CONVERSATION = """
SELECT staged.* FROM place CROSS JOIN staged USING (line) WHERE place.first = ? ORDER BY place.time, place.line
"""


def read_turns(table: Table, columns: Columns, max_chars: int) -> Iterator[Outcome]:
    """Every conversation that the rows make; a row that is no turn is rejected alone."""
    reader = _TurnReader(table, columns)
    with open_scratch() as scratch:
        yield from stage(scratch, table, "id, time", reader.place)
        scratch.execute("CREATE TABLE place (first, time, line, PRIMARY KEY (first, time, line)) WITHOUT ROWID")
        scratch.execute(_PLACE)
        for first, rows in groupby(scratch.execute(_READ), itemgetter(0)):
            once = without_repeats(rows, itemgetter(3), itemgetter(slice(4, None)), Counter())
            yield from _assemble(scratch, first, once, reader, max_chars)


class _TurnReader:
    """Reads the fields of a row that is a turn. Each method raises RowError."""

    def __init__(self, table: Table, columns: Columns) -> None:
        self._id_column = columns["id"]
        self._take = take_speaker if "speaker" in columns else take_inbound
        self._pick_place = table.picker((columns["id"], columns.get("time")), optional=(columns.get("time"),))
        self._pick_turn = table.picker((columns.get("speaker", columns.get("inbound")), columns["text"]))

    def place(self, record: Record) -> tuple[str, float | None]:
        """The conversation's id and the turn's time, if the whole row is sound."""
        external_id, time = self._pick_place(record.cells)
        place = take_id(external_id, self._id_column), parse_time(str(time))
        self.turn(record)
        return place

    def turn(self, record: Record) -> Turn:
        """Who speaks, and what."""
        speaker, text = self._pick_turn(record.cells)
        return Turn(self._take(speaker), take_text(text))


def _assemble(
    scratch: sqlite3.Connection, first: int, rows: Iterator[tuple[Any, ...]], reader: _TurnReader, max_chars: int
) -> Iterator[Outcome]:
    """One conversation from its rows; if it is too long all of them are rejected. Only what is said is held."""
    turns: list[Turn] = []
    num_chars = 0
    external_id = ""
    for row in rows:
        external_id = row[2]
        turns.append(reader.turn(Record(row[1], row[4:])))
        num_chars += len(turns[-1].text) + 1
        if num_chars > max_chars:
            for row in scratch.execute(_ROWS_OF_CONVERSATION, (first,)):
                yield Record(row[0], row[3:]).rejected(too_long(max_chars))
            return
    yield SourceRow(first, Conversation(external_id, tuple(turns)))
