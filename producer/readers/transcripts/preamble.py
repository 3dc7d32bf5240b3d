"""What stands above the first turn of a transcript: `Chat started: …`, `Agent: Maria Keller`, a title, a rule."""

import re
from collections.abc import Sequence

from producer.readers.sides.speakers import Role, is_field_word, plain_label
from producer.readers.timing.times import parse_time
from producer.readers.transcripts.labels import Reading
from producer.readers.transcripts.openings import Opening, has_happened, is_event, is_phrase, read_opening

_FIELD = re.compile(r"([^:：]{1,60}?)\s?[:：]\s*(.*)")
_TITLE = re.compile(
    r"(?:chat|conversation|transcript|call|session|dialog(?:ue)?|messages?|unterhaltung|gespräch|verlauf|protokoll|"
    r"conversación|conversa|conversazione|gesprek|rozmowa|диалог|чат|переписка|对话|聊天|会話|대화)\b",
    re.IGNORECASE,
)
_MAX_TITLE_WORDS = 8


def is_preamble(line: str) -> bool:
    """Whether a line above the first turn is about the conversation, not a part of it."""
    if not line:
        return True
    if is_event(line) or parse_time(line) is not None:
        return True
    if (match := _FIELD.fullmatch(line)) and is_phrase(match[1]) and _is_about(match[1], match[2]):
        return True
    if _TITLE.match(line) and len(line.split()) <= _MAX_TITLE_WORDS and not line.endswith((".", "!", "?")):
        return True
    opening = read_opening(line)
    return isinstance(opening, Opening) and opening.style.endswith("alone")


def _is_about(field: str, value: str) -> bool:
    return is_field_word(field) or has_happened(field) or parse_time(value) is not None


def take_header(lines: list[str], readings: list[Reading]) -> dict[str, Role]:
    """The roles of names, told above the turns as `Agent: Maria Keller` or `Agent Maria Keller`.

    These lines are emptied.
    """
    names = {reading.key for reading in readings if isinstance(reading, Opening) and reading.role is None}
    header: dict[str, Role] = {}
    for index, reading in _leading(readings) if names else ():
        name = plain_label(reading.text) or reading.key.partition(" ")[2]
        if reading.role and name in names:
            header[name] = reading.role
            lines[index], readings[index] = "", None
    return header


def _leading(readings: Sequence[Reading]) -> list[tuple[int, Opening]]:
    """The openings of roles above the first name."""
    leading = []
    for index, reading in enumerate(readings):
        if isinstance(reading, Opening):
            if reading.role is None and not is_field_word(reading.label):
                break
            leading.append((index, reading))
    return leading
