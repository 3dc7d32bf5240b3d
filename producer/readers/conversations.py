"""Shape one: a row is a conversation. Rows come and go one by one, in the source's order."""

from collections.abc import Iterator

from aftercall.conversation import Conversation
from producer.readers.columns import Columns
from producer.readers.rows import Outcome, Rejected, RowError, SourceRow, Table, Value, take_id
from producer.readers.transcript import parse_transcript


def read_conversations(table: Table, columns: Columns, max_chars: int) -> Iterator[Outcome]:
    """Every row as its conversation, or rejected."""
    pick = table.picker((columns["id"], columns["transcript"]))
    for record in table.records():
        if isinstance(record, Rejected):
            yield record
            continue
        try:
            external_id, transcript = pick(record.cells)
            conversation = _conversation(take_id(external_id, columns["id"]), transcript, max_chars)
        except RowError as error:
            yield record.rejected(error)
        else:
            yield SourceRow(record.line, conversation, record.cells)


def _conversation(external_id: str, transcript: Value, max_chars: int) -> Conversation:
    if isinstance(transcript, str) and len(transcript) > max_chars:
        raise RowError(too_long(max_chars))
    turns = parse_transcript(transcript)
    if isinstance(transcript, list) and sum(len(turn.text) for turn in turns) > max_chars:
        raise RowError(too_long(max_chars))
    return Conversation(external_id, turns)


def too_long(max_chars: int) -> str:
    """The reason for which a conversation beyond the limit is rejected."""
    return (
        f"the conversation is longer than {max_chars:,} characters; AFTERCALL_MAX_CONVERSATION_CHARS sets this limit."
    )
