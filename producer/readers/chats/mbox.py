"""A mailbox in the mbox format: its messages, grouped on disk into conversations.

A conversation is a thread: messages that answer one another by `References` or `In-Reply-To`. A reply without either
("Re:" in its subject) joins the thread of that subject between the same two addresses. Conversations come in the order
in which their first messages stand in the file. A message that is there twice, as in the inbox and in the folder of
sent mail, counts once.
"""

import re
import sqlite3
from array import array
from collections.abc import Iterator
from contextlib import suppress
from itertools import groupby
from operator import itemgetter
from typing import Any, cast

from producer.readers.chats.mail import Mail, parse_mail
from producer.readers.containers.content import Content
from producer.readers.conversations import too_long
from producer.readers.raw import Kind, RawConversation, RawTurn
from producer.readers.rows import Rejected, RowError, take_id
from producer.readers.scratch import open_scratch

COLUMNS = ("from", "text")

#: A message is held in memory. Mail servers take half as much.
MAX_MESSAGE_BYTES = 48 << 20
MAX_MESSAGE_LINES = 1_000_000
_MAX_PIECE_BYTES = 1 << 20

_FROM_LINE = re.compile(rb"From (?:\S+|.*@\S+)\s+\w{3}\s+\w{3}\s+\d{1,2}\s+\d{1,2}:\d{2}.*\d{4}\s*")
_QUOTED_FROM = re.compile(rb">+From ")
_HEADER = re.compile(rb"[!-9;-~]+:")

_TABLES = (
    "CREATE TABLE message (line INTEGER PRIMARY KEY, thread, id, label, kind, time, is_html, text)",
    "CREATE TABLE known (key PRIMARY KEY, thread) WITHOUT ROWID",
    "CREATE TABLE root (thread PRIMARY KEY, root) WITHOUT ROWID",
)
_INSERT = "INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_PLACE = """
CREATE TABLE place AS
SELECT min(line) OVER (PARTITION BY root) AS first, line FROM message JOIN root USING (thread)
"""
_READ = "SELECT first, message.* FROM place CROSS JOIN message USING (line) ORDER BY first, line"


def is_mbox(head: bytes) -> bool:
    """Whether a file with these first bytes is a mailbox."""
    first, _, rest = head.partition(b"\n")
    return _FROM_LINE.fullmatch(first.rstrip(b"\r")) is not None and _HEADER.match(rest) is not None


def read_mbox(content: Content, max_chars: int) -> Iterator[tuple[int, RawConversation] | Rejected]:
    """Every conversation of the mailbox with the number of its first line; a message that is too large is rejected."""
    with open_scratch() as scratch:
        threads = _Threads(scratch)
        for line, source in _split(content):
            try:
                if source is None:
                    raise RowError(
                        f"the message is longer than {MAX_MESSAGE_BYTES >> 20} MiB or {MAX_MESSAGE_LINES:,} lines."
                    )
                threads.add(line, parse_mail(source))
            except RowError as error:
                yield Rejected(line, str(error), ("", ""))
        threads.settle()
        for first, rows in groupby(scratch.execute(_READ), itemgetter(0)):
            yield from _assemble(first, rows, max_chars)


def _split(content: Content) -> Iterator[tuple[int, bytes | None]]:
    """Every message with the number of its first line; None for one that is too large."""
    message = bytearray()
    first = last = 0
    is_after_blank = is_after_break = True
    with content.open() as stream:
        for piece in iter(lambda: stream.readline(_MAX_PIECE_BYTES), b""):
            last += is_after_break
            if is_after_blank and _FROM_LINE.fullmatch(piece):
                if first:
                    yield first, _whole(message, last - first)
                first = last
                message.clear()
            elif len(message) <= MAX_MESSAGE_BYTES:
                message += piece[1:] if is_after_break and _QUOTED_FROM.match(piece) else piece
            is_after_blank = is_after_break and not piece.strip()
            is_after_break = piece.endswith(b"\n")
    if first:
        yield first, _whole(message, last - first)


def _whole(message: bytearray, num_lines: int) -> bytes | None:
    """A copy of the message, if it is not too large to be taken apart in memory."""
    return bytes(message) if len(message) <= MAX_MESSAGE_BYTES and num_lines <= MAX_MESSAGE_LINES else None


class _Threads:
    """Messages put into threads, which turn out to be one when a message answers both."""

    def __init__(self, scratch: sqlite3.Connection) -> None:
        self._scratch = scratch
        self._parents = array("q")
        for statement in _TABLES:
            scratch.execute(statement)

    def add(self, line: int, mail: Mail) -> None:
        """Put a message into its thread, if it is not there already."""
        if mail.id and self._scratch.execute("SELECT 1 FROM known WHERE key = ?", (f"have {mail.id}",)).fetchone():
            return
        keys = [f"id {each}" for each in dict.fromkeys([mail.id, *mail.references]) if each]
        subjects = [_subject_key(mail, recipient) for recipient in mail.recipients] if mail.subject else []
        joined = keys if mail.references or not mail.is_reply else [*keys, *subjects]
        thread = self._unite([self._find(found) for found in map(self._look_up, joined) if found is not None])
        for key in [*keys, *subjects, *([f"have {mail.id}"] if mail.id else [])]:
            self._scratch.execute("INSERT OR IGNORE INTO known VALUES (?, ?)", (key, thread))
        turn = mail.turn
        row = (line, thread, mail.id, turn.label, turn.kind, turn.time, turn.is_html, _storable(turn.text))
        self._scratch.execute(_INSERT, row)

    def settle(self) -> None:
        """Write down which threads are one."""
        roots = ((thread, self._find(thread)) for thread in range(len(self._parents)))
        self._scratch.executemany("INSERT INTO root VALUES (?, ?)", roots)
        self._scratch.execute(_PLACE)

    def _look_up(self, key: str) -> int | None:
        row = self._scratch.execute("SELECT thread FROM known WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def _unite(self, threads: list[int]) -> int:
        """The oldest of these threads, of which the others are part now; a new one if there is none."""
        if not threads:
            self._parents.append(len(self._parents))
            return len(self._parents) - 1
        root = min(threads)
        for thread in threads:
            self._parents[thread] = root
        return root

    def _find(self, thread: int) -> int:
        while (parent := self._parents[thread]) != thread:
            self._parents[thread] = self._parents[parent]
            thread = parent
        return thread


def _subject_key(mail: Mail, recipient: str) -> str:
    return " ".join(["subject", *sorted((mail.sender, recipient)), mail.subject])


def _storable(text: str) -> str:
    """SQLite takes no half of a surrogate pair."""
    return text.encode("utf-8", "replace").decode()


def _assemble(
    first: int, rows: Iterator[tuple[Any, ...]], max_chars: int
) -> Iterator[tuple[int, RawConversation] | Rejected]:
    turns: list[RawTurn] = []
    external_id = ""
    num_chars = 0
    for _, _, _, message_id, label, kind, time, is_html, text in rows:
        num_chars += len(text) + 1
        if num_chars > max_chars:
            yield Rejected(first, too_long(max_chars), (label, ""))
            return
        external_id = external_id or message_id
        turns.append(RawTurn(text, label, kind=cast(Kind, kind), time=time, is_html=bool(is_html), is_email=True))
    with suppress(RowError):
        yield first, RawConversation(take_id(external_id, None), tuple(turns))
        return
    yield first, RawConversation(f"line {first}", tuple(turns))
