"""A whole conversation in one cell: `speaker: text` lines, or, from JSON, a list of turns. Knows no table.

A line that starts with no known speaker belongs to the turn above it. A time before the speaker (`[10:31]`,
`2026-11-20 10:31:07 -`) and a name or number after (`Agent (Maria):`, `Agent 2:`) are taken off.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from aftercall.conversation import Speaker, Turn
from producer.readers.rows import RowError, Value, take_text
from producer.readers.speakers import SPEAKERS, take_inbound, take_speaker

_TIME = r"[\[(]?(?:\d{2,4}[-/.]\d{1,2}[-/.]\d{1,4}[T, ]*)?\d{1,2}:\d{2}(?::\d{2})?(?:[.,]\d+)?Z?(?:\s?[ap]m)?[\])]?"
_WORDS = "|".join(sorted(map(re.escape, SPEAKERS), key=len, reverse=True))
_OPENING = re.compile(
    rf"\s*(?:{_TIME}[\s–-]*)?[\[*]*({_WORDS})\s?(?:\d{{1,3}}|\([^()]{{1,60}}\))?[\]*]*\s?[:：][*]*",
    re.IGNORECASE | re.ASCII,
)

_SPEAKER_KEYS = ("speaker", "role", "author_type", "sender", "from")
_TEXT_KEYS = ("text", "content", "message", "body", "utterance")
_DIALOGSTUDIO: tuple[tuple[str, Speaker], ...] = (("user utterance", "user"), ("system response", "agent"))


def parse_transcript(value: Value) -> tuple[Turn, ...]:
    """The turns of a transcript, as they were written.

    Raises RowError if it is empty, or if who speaks cannot be told.
    """
    turns = _line_turns(value) if isinstance(value, str) else [turn for item in value for turn in _item_turns(item)]
    if not any(turn.text.strip() for turn in turns):
        raise RowError("the transcript is empty.")
    return tuple(turns)


def _line_turns(text: str) -> list[Turn]:
    speakers: list[Speaker] = []
    texts: list[list[str]] = []
    for line in text.splitlines():
        label, _, words = line.partition(":")
        speaker = SPEAKERS.get(label.casefold())
        if speaker is None:  # a line that goes on, or a label with more to it; the pattern is ten times slower
            speaker, words = _match_opening(line)
        if speaker is not None:
            speakers.append(speaker)
            texts.append([words])
        elif speakers:
            texts[-1].append(line)
        elif line.strip():
            raise RowError(
                f"the transcript starts with {line.strip()[:40]!r}; expected a speaker, as in 'customer: …'. "
                "If each row is one turn, say where the speaker stands: --map speaker=COLUMN"
            )
    return list(map(Turn, speakers, map("\n".join, texts)))


def _match_opening(line: str) -> tuple[Speaker | None, str]:
    """Speaker and words of a line that opens a turn; no speaker if it opens none."""
    match = _OPENING.match(line) if ":" in line or "：" in line else None
    return (SPEAKERS[match[1].casefold()], line[match.end() :]) if match else (None, line)


def _item_turns(item: object) -> Iterator[Turn]:
    """The turns of one element of a JSON list."""
    if isinstance(item, str):
        yield from _line_turns(item)
    elif not isinstance(item, dict):
        raise RowError(f"a turn is {str(item)[:40]!r}; expected an object with speaker and text.")
    elif any(key in item for key, _ in _DIALOGSTUDIO):
        yield from (Turn(speaker, take_text(item.get(key) or "")) for key, speaker in _DIALOGSTUDIO)
    else:
        yield Turn(_item_speaker(item), take_text(_first(item, _TEXT_KEYS) or ""))


def _item_speaker(item: Mapping[str, Any]) -> Speaker:
    return take_inbound(item["inbound"]) if "inbound" in item else take_speaker(_first(item, _SPEAKER_KEYS))


def _first(item: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    for key in keys:
        if key in item:
            return item[key]
    raise RowError(f"a turn has the keys {', '.join(map(repr, item))[:80]}; expected one of {', '.join(keys)}.")


def split_transcript(text: str) -> list:
    """Stand-in."""
    from producer.readers.raw import RawTurn
    return [RawTurn(turn.text, turn.speaker, turn.speaker) for turn in _line_turns(text)]
