"""Records that are a conversation each. They come and go one by one, in the source's order."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from producer.readers.items import ItemReader
from producer.readers.jsonlines import is_json, parse_object
from producer.readers.raw import RawConversation, RawRow, RowOrigin
from producer.readers.rows import Picker, Record, Rejected, RowError, Table
from producer.readers.tables import TableRow, resolver


def read_conversations(table: Table, reader: ItemReader, max_chars: int) -> Iterator[RawRow | Rejected]:
    """Every record as its raw conversation, or rejected."""
    take = _taker(table, reader, max_chars)
    for record in table.records():
        if isinstance(record, Rejected):
            yield record
            continue
        try:
            conversation = take(record)
        except RowError as error:
            yield record.rejected(error)
        else:
            yield RawRow(
                record.line, conversation, partial(_origin, record), record.cells, num_unreadable=reader.num_unreadable
            )


def _origin(record: Record) -> list[RowOrigin]:
    return [(record.line, record.cells)]


def _taker(table: Table, reader: ItemReader, max_chars: int) -> Any:
    """A function from a record to its conversation. A transcript in a column is picked without making a mapping."""
    layout = reader.layout
    if is_json(table):
        return lambda record: reader.conversation(_sized(parse_object(record.cells[0]), record, max_chars), record.line)
    columns = resolver(table.names)
    transcript = columns.column(layout.transcript) if layout.transcript else None
    external_id = columns.column(layout.id) if layout.id else None
    if transcript and (external_id or not layout.id):
        return _Picking(table.picker((external_id, transcript)), reader, max_chars)
    row = TableRow(table, reader.needed(table))
    return lambda record: reader.conversation(row(record.cells), record.line)


def _sized(item: Any, record: Record, max_chars: int) -> Any:
    # Far more around the text than text: what is in it is counted when it is read.
    if len(record.cells[0]) > max_chars * 50:
        raise RowError(too_long(max_chars))
    return item


class _Picking:
    """Takes id and transcript from their columns."""

    def __init__(self, pick: Picker, reader: ItemReader, max_chars: int) -> None:
        self._pick = pick
        self._reader = reader
        self._max_chars = max_chars

    def __call__(self, record: Record) -> RawConversation:
        external_id, transcript = self._pick(record.cells)
        key = self._reader.take_key(external_id, record.line)
        if len(transcript) > self._max_chars:
            raise RowError(too_long(self._max_chars))
        return RawConversation(key, tuple(self._reader.transcript(transcript)))


def too_long(max_chars: int) -> str:
    """The reason for which a conversation beyond the limit is rejected."""
    return (
        f"the conversation is longer than {max_chars:,} characters; AFTERCALL_MAX_CONVERSATION_CHARS sets this limit."
    )
