"""Shape three: a row is a tweet. Trees of replies are rebuilt on disk, `threads` takes them apart into conversations.

A tree is everything under one root: a tweet that answers nothing. A tweet whose parent is missing from the source
hangs under that parent's id, so that all replies to one missing tweet stay together. Tweets that answer one another
in a circle are cut loose at the earliest of them. Of two rows with one tweet id the second is rejected.

Rejected rows come first, then the conversations, tree by tree, in the order in which the trees first appear.
"""

import sqlite3
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any

from aftercall.conversation import Conversation, Turn
from aftercall.errors import SourceError
from aftercall.masking import printable
from producer.readers.conversations import too_long
from producer.readers.layouts.columns import Columns
from producer.readers.rows import Outcome, Record, SourceRow, Table, take_id, take_text
from producer.readers.scratch import open_scratch, stage
from producer.readers.sides.speakers import take_inbound
from producer.readers.tables import resolver
from producer.readers.threads import Thread, Tweet, split_tree
from producer.readers.timing.times import parse_time

#: Fields without which a row is no tweet.
_REQUIRED = ("id", "inbound", "text", "reply_to")

#: A tree is held in memory while it is taken apart.
MAX_TREE_TWEETS = 50_000
MAX_TREE_CHARS = 32_000_000

_IS_ROOT = "parent IS NULL OR NOT EXISTS (SELECT 1 FROM staged AS above WHERE above.id = staged.parent)"
#: From the seeds downward. A root's tree is named after the tweet that it answers, or else after itself.
_GROW = """
WITH RECURSIVE reached (line, id, tree) AS (
    SELECT line, id, ifnull(parent, id) FROM staged WHERE {seed}
    UNION ALL
    SELECT reply.line, reply.id, reached.tree FROM reached CROSS JOIN staged AS reply ON reply.parent = reached.id
)
INSERT INTO member SELECT line, tree FROM reached
"""
_NEXT_UNREACHED = "SELECT min(line) FROM staged WHERE line > ? AND line NOT IN (SELECT line FROM member)"
_PLACE = "INSERT INTO place SELECT min(line) OVER (PARTITION BY tree), line FROM member ORDER BY 1, 2"
_READ = """
SELECT place.first, staged.* FROM place CROSS JOIN staged ON staged.line = place.line ORDER BY place.first, place.line
"""
_ROWS_OF_TREE = "SELECT staged.* FROM place CROSS JOIN staged USING (line) WHERE place.first = ? ORDER BY place.line"


def read_tweets(table: Table, columns: Columns, max_chars: int) -> Iterator[Outcome]:
    """Every conversation that the tweets make; a row that is no tweet is rejected alone."""
    # The layout names columns as the export usually has them; this header may spell them otherwise, or lack the time.
    spelled = resolver(table.names)
    found = {field: name for field, column in columns.items() if (name := spelled.column(column))}
    if missing := [columns[field] for field in _REQUIRED if field not in found]:
        raise SourceError(
            f"a table of tweets needs the columns {', '.join(map(printable, missing))}, and its header spells them in "
            "another way. Rename them, or name them with --map."
        )
    reader = _TweetReader(table, found)
    with open_scratch() as scratch:
        yield from stage(scratch, table, "id UNIQUE, parent, time", reader.place)
        _grow_trees(scratch)
        for first, rows in groupby(scratch.execute(_READ), itemgetter(0)):
            yield from _assemble(scratch, first, rows, reader, max_chars)


class _TweetReader:
    """Reads the fields of a row that is a tweet. Each method raises RowError."""

    def __init__(self, table: Table, columns: Columns) -> None:
        self._id_column = columns["id"]
        self._reply_column = columns["reply_to"]
        optional = (columns["reply_to"], columns.get("time"), columns.get("author"))
        self._pick_place = table.picker((columns["id"], columns["reply_to"], columns.get("time")), optional)
        self._pick_speech = table.picker((columns.get("author"), columns["inbound"], columns["text"]), optional)

    def place(self, record: Record) -> tuple[str, str | None, float | None]:
        """Its id, the id of the tweet that it answers, and its time, if the whole row is sound."""
        id_cell, reply_cell, time = self._pick_place(record.cells)
        tweet_id = take_id(id_cell, self._id_column)
        parent = take_id(reply_cell, self._reply_column) if str(reply_cell).strip() else None
        place = tweet_id, parent if parent != tweet_id else None, parse_time(str(time))
        self.tweet(record, place)
        return place

    def tweet(self, record: Record, place: tuple[str, str | None, float | None]) -> Tweet:
        """The tweet at its place, which is what `place` returned for it."""
        author, inbound, text = self._pick_speech(record.cells)
        tweet_id, parent, time = place
        return Tweet(record.line, tweet_id, parent, str(author), take_inbound(inbound), time, take_text(text))


def _grow_trees(scratch: sqlite3.Connection) -> None:
    """Find every tweet's tree, and the place of every tree."""
    scratch.execute("CREATE INDEX reply ON staged (parent)")
    scratch.execute("CREATE TABLE member (line INTEGER PRIMARY KEY, tree)")
    scratch.execute(_GROW.format(seed=_IS_ROOT))
    line = 0
    while line := scratch.execute(_NEXT_UNREACHED, (line,)).fetchone()[0]:
        earliest = _find_earliest(scratch, line)
        scratch.execute("UPDATE staged SET parent = NULL WHERE line = ?", (earliest,))
        scratch.execute(_GROW.format(seed="line = ?"), (earliest,))
    scratch.execute("CREATE TABLE place (first, line, PRIMARY KEY (first, line)) WITHOUT ROWID")
    scratch.execute(_PLACE)


def _find_earliest(scratch: sqlite3.Connection, line: int) -> int:
    """The line of the earliest tweet of the circle into which this line's replies lead."""
    seen: dict[int, tuple[float, int]] = {}
    while line not in seen:
        time, parent = scratch.execute("SELECT time, parent FROM staged WHERE line = ?", (line,)).fetchone()
        seen[line] = (time or 0.0, line)
        (line,) = scratch.execute("SELECT line FROM staged WHERE id = ?", (parent,)).fetchone()
    circle = list(seen.values())[list(seen).index(line) :]
    return min(circle)[1]


def _assemble(
    scratch: sqlite3.Connection, first: int, rows: Iterator[tuple[Any, ...]], reader: _TweetReader, max_chars: int
) -> Iterator[Outcome]:
    """The conversations of one tree. Of its rows no more than the tweets is held: other cells may be of any length."""
    tree: list[Tweet] = []
    num_chars = 0
    for row in rows:
        tree.append(reader.tweet(Record(row[1], row[5:]), row[2:5]))
        num_chars += len(tree[-1].text)
        if len(tree) > MAX_TREE_TWEETS or num_chars > MAX_TREE_CHARS:
            reason = f"its thread has more than {MAX_TREE_TWEETS:,} tweets or {MAX_TREE_CHARS:,} characters."
            yield from (Record(row[0], row[4:]).rejected(reason) for row in scratch.execute(_ROWS_OF_TREE, (first,)))
            return
    for thread in split_tree(tree):
        if sum(len(tweet.text) for tweet in thread.tweets) > max_chars:
            yield from (_record(scratch, tweet.line).rejected(too_long(max_chars)) for tweet in thread.tweets)
        else:
            yield SourceRow(thread.line, _conversation(thread))


def _record(scratch: sqlite3.Connection, line: int) -> Record:
    row = scratch.execute("SELECT * FROM staged WHERE line = ?", (line,)).fetchone()
    return Record(line, row[4:])


def _conversation(thread: Thread) -> Conversation:
    return Conversation(thread.id, tuple(Turn(tweet.speaker, tweet.text) for tweet in thread.tweets))
