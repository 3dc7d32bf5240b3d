"""How the tests of transcripts read one, from its text to its turns."""

from aftercall.conversation import Turn
from producer.readers.raw import RawConversation
from producer.readers.sides.sides import Census, SideRules
from producer.readers.timing.ordering import order_turns
from producer.readers.transcripts.transcript import split_transcript


def read_all(*transcripts: str, agents: str = "", customers: str = "") -> list[list[tuple[str, str]]]:
    """Speaker and text of every turn, of a source with these transcripts. Raises RowError at the first that is bad."""
    conversations = []
    census = Census()
    for number, text in enumerate(transcripts):
        turns, _ = order_turns(split_transcript(text))
        conversations.append(RawConversation(str(number), tuple(turns)))
        census.feed(conversations[-1])
    sides = census.decide(SideRules(_patterns(agents), _patterns(customers)))
    return [_plain(sides.resolve(conversation)) for conversation in conversations]


def read(text: str, **rules: str) -> list[tuple[str, str]]:
    """Speaker and text of every turn of one transcript."""
    return read_all(text, **rules)[0]


def _patterns(written: str) -> tuple[str, ...]:
    return tuple(filter(None, written.split(",")))


def _plain(turns: tuple[Turn, ...]) -> list[tuple[str, str]]:
    return [(turn.speaker, " ".join(turn.text.split())) for turn in turns]
