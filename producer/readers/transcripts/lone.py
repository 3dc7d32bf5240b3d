"""Lines on which a name or a time stands alone, as on a page that shows a chat: `Maria Keller`, `10:02 AM`, then words.

Looks at a line with those around it.
"""

from collections.abc import Sequence

from producer.readers.transcripts.labels import Reading
from producer.readers.transcripts.openings import Opening, Stamped, read_opening

#: One line of a time and a name may as well say what happened.
_MIN_LONE = 2


def join_lone_stamps(lines: list[str], readings: Sequence[Reading]) -> list[Reading]:
    """The readings, a time on the line below its label being the label's; its line is emptied."""
    joined = list(readings)
    for index, reading in enumerate(readings):
        if index and isinstance(reading, Stamped) and not reading.text and lines[index - 1].strip():
            opening = read_opening(f"{lines[index - 1].strip()} {lines[index].strip()}")
            if isinstance(opening, Opening) and opening.stamp and opening.style == "behindalone":
                joined[index - 1], joined[index] = opening, None
                lines[index] = ""
    return _without_events(lines, joined)


def _without_events(lines: Sequence[str], readings: list[Reading]) -> list[Reading]:
    """The readings, a time and a name on one line opening a turn only if this is how the transcript is written."""
    lone = [index for index, reading in enumerate(readings) if isinstance(reading, Opening) and _is_lone(reading)]
    if not lone:
        return readings
    num_timed = sum(isinstance(reading, Opening) and reading.is_timed for reading in readings)
    num_speaking = sum(index + 1 < len(lines) and readings[index + 1] is None for index in lone)
    if len(lone) >= _MIN_LONE and len(lone) * 2 > num_timed and num_speaking == len(lone):
        return readings
    for index in lone:
        opening = readings[index]
        if isinstance(opening, Opening):
            readings[index] = Stamped(opening.stamp, opening.style.removesuffix("alone"), opening.label)
    return readings


def _is_lone(opening: Opening) -> bool:
    return opening.role is None and opening.style.endswith(("timealone", "datealone"))
