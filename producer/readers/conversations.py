"""Records that are a conversation each. They come and go one by one, in the source's order."""

import re
from collections.abc import Iterator
from functools import partial

from producer.readers.jsonlines import is_json, parse_object
from producer.readers.layouts.items import ItemReader
from producer.readers.raw import RawConversation, RawRow, RowOrigin
from producer.readers.rows import Picker, Record, Rejected, RowError, Table
from producer.readers.tables import TableRow, resolver
from producer.readers.transcripts.transcript import split_transcript

#: Characters of a record to characters of the conversation in it, at most.
_MAX_SHARE = 50
_OPENS_LIST = ("", "[", "{", " ", "\n")
#: What may be a tag or a line break once it is unescaped; `&amp;` and `&lt;3` are left to cleaning.
_ESCAPED = re.compile(r"&(?:amp;)*(?:lt;?[a-z/!&]|#|nbsp)", re.IGNORECASE)


def read_conversations(table: Table, reader: ItemReader, max_chars: int) -> Iterator[RawRow | Rejected]:
    """Every record as its raw conversation, or rejected."""
    picking = _pick_transcripts(table, reader)
    if picking is not None:
        yield from _read_transcripts(table, reader, picking, max_chars)
        return
    parse = (lambda cells: parse_object(cells[0])) if is_json(table) else TableRow(table, reader.needed(table))
    for record in table.records():
        if isinstance(record, Rejected):
            yield record
            continue
        try:
            # Far more around the text than text: what is in it is counted when it is read.
            if sum(map(len, record.cells)) > max_chars * _MAX_SHARE:
                raise RowError(too_long(max_chars))
            conversation = reader.conversation(parse(record.cells), record.line)
        except RowError as error:
            yield record.rejected(error)
        else:
            rows = partial(_origin, record)
            yield RawRow(record.line, conversation, rows, record.cells, num_unreadable=reader.num_unreadable)


def _pick_transcripts(table: Table, reader: ItemReader) -> Picker | None:
    """What takes id and transcript from their columns, where they are columns: most tables are so."""
    if is_json(table) or not reader.layout.transcript:
        return None
    columns = resolver(table.names)
    transcript = columns.column(reader.layout.transcript)
    external_id = columns.column(reader.layout.id) if reader.layout.id else None
    is_picked = transcript is not None and (external_id is not None or reader.layout.id is None)
    return table.picker((external_id, transcript)) if is_picked else None


def _read_transcripts(table: Table, reader: ItemReader, pick: Picker, max_chars: int) -> Iterator[RawRow | Rejected]:
    for record in table.records():
        if isinstance(record, Rejected):
            yield record
            continue
        try:
            external_id, transcript = pick(record.cells)
            key = reader.take_key(external_id, record.line)
            if len(transcript) > max_chars:
                raise RowError(too_long(max_chars))
            is_plain = isinstance(transcript, str) and _is_plain(transcript)
            turns = tuple(split_transcript(str(transcript)) if is_plain else reader.transcript(transcript))
        except RowError as error:
            yield record.rejected(error)
        else:
            rows = partial(_origin, record)
            yield RawRow(record.line, RawConversation(key, turns), rows, record.cells, is_plain)


def _is_plain(transcript: str) -> bool:
    """Whether this is text of lines and nothing more, which need no preparation."""
    return (
        transcript[:1] not in _OPENS_LIST
        and "<" not in transcript
        and ("&" not in transcript or _ESCAPED.search(transcript) is None)
        and "\n>" not in transcript
        and "wrote:" not in transcript
    )


def _origin(record: Record) -> list[RowOrigin]:
    return [(record.line, record.cells)]


def too_long(max_chars: int) -> str:
    """The reason for which a conversation beyond the limit is rejected."""
    return (
        f"the conversation is longer than {max_chars:,} characters; AFTERCALL_MAX_CONVERSATION_CHARS sets this limit."
    )
