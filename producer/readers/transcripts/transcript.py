"""A whole conversation in one cell: `speaker: text` lines, or, from JSON, a list of turns. Reads no table.

A line that opens no turn belongs to the turn above it. Which lines do is decided in `labels`; most transcripts have two
plain role words as labels and nothing else that could be one, and those never get there.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from aftercall.conversation import Speaker
from producer.readers.raw import Kind, RawTurn
from producer.readers.rows import RowError
from producer.readers.sides.sides import voice_system
from producer.readers.sides.speakers import PLAIN_SIDES, Role
from producer.readers.transcripts.breaks import restore_breaks, restore_html_breaks
from producer.readers.transcripts.labels import Reading, choose
from producer.readers.transcripts.lone import join_lone_stamps
from producer.readers.transcripts.openings import Opening, Stamped, is_event, read_opening, stamp_time
from producer.readers.transcripts.preamble import is_preamble, take_header

_NOBODY = "nobody speaks in the transcript, it holds events or notes only; expected lines as in 'customer: …'."

#: A line such as `[2025-11-20 10:02:11] Agent: …` or `(10:02 AM) Customer: …`.
_TIMED = re.compile(
    r"(?P<bracket>[\[(]?)(?P<stamp>\d{1,4}[-/.:]\d{1,2}(?:[-/.:]\d{1,4})?(?:[T ,]{1,2}\d{1,2}:\d{2}(?::\d{2})?)?"
    r"(?:[ \u202f][AaPp][Mm])?)(?P<end>[\])]?(?: -)?) (?P<label>[A-Za-z][A-Za-z ]{1,30}):(?= )"
)
#: A line with one of these may open a turn, or tell of an event.
_MAY_OPEN = re.compile(r"[:：]|^\s*[*\-=\[(<~\d]")
#: A line that starts with one of these may be an event, even if it has no colon.
_EVENT_STARTS = ("*", "-", "=", "[", "(", "<", "~")


def split_transcript(text: str) -> list[RawTurn]:
    """The turns of a transcript, its notes and its events, in the order of the text.

    Raises RowError if it is empty, or if who speaks cannot be told.
    """
    turns = _split_plain(text) or _split_timed(text)
    if turns is None:
        turns = _split_lines(restore_html_breaks(text))
    if not any(turn.text.strip() for turn in turns if turn.kind == "message"):
        raise RowError("the transcript is empty." if not any(turn.text.strip() for turn in turns) else _NOBODY)
    return turns


def _split_plain(text: str) -> list[RawTurn] | None:
    """The turns if two labels, one of each side, are all that could be labels; else None."""
    labels: list[str] = []
    speakers: list[Speaker] = []
    texts: list[list[str]] = []
    for line in text.splitlines():
        label, colon, words = line.partition(":")
        speaker = PLAIN_SIDES.get(label)
        if speaker is not None and colon:
            labels.append(label)
            speakers.append(speaker)
            texts.append([words])
        elif texts and not colon and "：" not in line and not line.lstrip().startswith(_EVENT_STARTS):
            texts[-1].append(line)
        else:
            return None
    if len(set(labels)) != 2 or len(set(speakers)) != 2:
        return None
    return list(map(RawTurn, map("\n".join, texts), labels, speakers))


def _split_timed(text: str) -> list[RawTurn] | None:
    """The same where each label has a time in front of it, all of one dress."""
    if (first := _TIMED.match(text)) is None:
        return None
    turns: list[RawTurn] = []
    texts: list[list[str]] = []
    bracket, end = first["bracket"], first["end"]
    for line in text.splitlines():
        match = _TIMED.match(line)
        if match is not None:
            label = match["label"]
            speaker = PLAIN_SIDES.get(label)
            if speaker is None or match["bracket"] != bracket or match["end"] != end:
                return None
            turns.append(RawTurn("", label, speaker, time=stamp_time(match["stamp"])))
            texts.append([line[match.end() :]])
        elif turns and _MAY_OPEN.search(line) is None:
            texts[-1].append(line)
        else:
            return None
    if len({turn.speaker for turn in turns}) != 2:
        return None
    for turn, lines in zip(turns, texts, strict=True):
        turn.text = "\n".join(lines)
    return turns


def _split_lines(text: str) -> list[RawTurn]:
    """The turns of a transcript whose labels are names, or whose lines have times, events or no breaks."""
    lines, stands, header = _read(text)
    if _num_labels(stands) < 2 and (restored := restore_breaks(text)) is not None:
        lines, stands, header = _read(restored)
    if not _num_labels(stands) and not any(
        isinstance(reading, Stamped) or is_event(line.strip()) for line, reading in zip(lines, stands, strict=True)
    ):
        raise RowError(_starts_with(text))
    builder = _Builder(header)
    for line, reading in zip(lines, stands, strict=True):
        builder.take(line, reading)
    return builder.finish()


def _read(text: str) -> tuple[list[str], list[Reading], dict[str, Role]]:
    lines = text.splitlines()
    readings = join_lone_stamps(lines, [read_opening(line) for line in lines])
    header = take_header(lines, readings)
    return lines, choose(readings, lines), header


def _num_labels(stands: Sequence[Reading]) -> int:
    return len({reading.key for reading in stands if isinstance(reading, Opening)})


def _starts_with(text: str) -> str:
    first = next((line for line in text.splitlines() if line.strip()), None)
    if first is None:
        return "the transcript is empty."
    return (
        f"the transcript starts with {first.strip()[:40]!r}; expected a speaker, as in 'customer: …'. "
        "If each row is one turn, say where the speaker stands: --map speaker=COLUMN"
    )


class _Builder:
    """Makes turns of lines, one after the other."""

    def __init__(self, header: Mapping[str, Role]) -> None:
        self._header = header
        self._turns: list[RawTurn] = []
        self._texts: list[list[str]] = []
        self._speaking: Opening | None = None
        self._is_interrupted = False

    def take(self, line: str, reading: Reading) -> None:
        """One line more, and what it opens. Raises RowError if nobody says it."""
        if isinstance(reading, Opening):
            self._open(reading)
        elif isinstance(reading, Stamped):
            self._turns.append(RawTurn("", kind="event", time=stamp_time(reading.stamp)))
            self._texts.append([reading.text])
        elif is_event(stripped := line.strip()):
            self._add_event(stripped)
        elif self._is_interrupted and self._speaking and stripped:
            self._open(replace(self._speaking, text=line))
        elif self._turns and self._speaking:
            self._texts[-1].append(line)
        elif is_preamble(stripped):
            self._add_event(stripped)
        elif stripped:
            raise RowError(_starts_with(stripped))

    def _open(self, opening: Opening) -> None:
        role = opening.role or self._header.get(opening.key)
        speaker = role if role == "user" or role == "agent" else None
        kind: Kind = role if role == "note" or role == "event" else "message"
        time = stamp_time(opening.stamp) if opening.stamp else None
        self._turns.append(RawTurn("", opening.label, speaker, kind, time))
        self._texts.append([opening.text])
        self._speaking, self._is_interrupted = opening, False

    def _add_event(self, text: str) -> None:
        if text:
            self._turns.append(RawTurn("", kind="event"))
            self._texts.append([text])
            self._is_interrupted = True

    def finish(self) -> list[RawTurn]:
        """All turns. A dialogue system that speaks as `System` is the company's voice."""
        for turn, lines in zip(self._turns, self._texts, strict=True):
            turn.text = "\n".join(lines)
        return voice_system(self._turns)
