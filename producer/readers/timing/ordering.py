"""The order in which things were said. Pure.

Exports are oldest first, newest first or in no order, and some of their times are missing or can't be parsed. A turn
without a time keeps its place between its neighbours in the file.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from producer.readers.raw import RawTurn
from producer.readers.timing.times import DAY_S, LEAP_YEAR_S, UNDATED_S, YEARLESS_S

#: Where times lie that come again, and after how long.
_CYCLES = ((UNDATED_S, DAY_S), (YEARLESS_S, LEAP_YEAR_S))

#: By what the turns of a conversation are ordered. "time": by their times. "file": as they stand in the file, for want
#: of times. The others are as in the file too, and worth a warning.
Order = Literal["time", "file", "file, times unreadable", "file, times incomplete", "file, times out of order"]

Direction = Literal["oldest first", "newest first", "mixed"]


def order_turns(
    turns: Sequence[RawTurn], *, num_unreadable: int = 0, newest_first: bool = False
) -> tuple[list[RawTurn], Order]:
    """The turns, oldest first, and what decided it.

    `num_unreadable` is how many of them have a time in the export that couldn't be parsed. `newest_first` is what the
    other conversations of the file say; it decides where the times of this one are all the same or too few.
    """
    times = _unwrap([turn.time for turn in turns])
    known = [time for time in times if time is not None]
    direction = _direction(known)
    if direction == "newest first" or (direction is None and newest_first and known):
        # Turned over as a whole, so that turns of one minute and turns without a time are turned over too.
        return list(reversed(turns)), "time"
    if len(known) < 2:
        return list(turns), "file, times unreadable" if num_unreadable else "file"
    if direction != "mixed":
        return list(turns), "time"
    if len(known) < len(times):
        return list(turns), "file, times unreadable" if num_unreadable else "file, times incomplete"
    if any(time < UNDATED_S / 2 for time in known):
        return list(turns), "file, times out of order"
    by_time = sorted(zip(known, range(len(turns)), strict=True))
    return [turns[index] for _, index in by_time], "time"


def find_direction(turns: Sequence[RawTurn]) -> Direction | None:
    """How the times of a conversation run in the file; None if they don't tell."""
    return _direction([time for time in _unwrap([turn.time for turn in turns]) if time is not None])


def _direction(times: Sequence[float]) -> Direction | None:
    rises = any(earlier < later for earlier, later in pairwise(times))
    falls = any(earlier > later for earlier, later in pairwise(times))
    return "mixed" if rises and falls else "oldest first" if rises else "newest first" if falls else None


def _unwrap(times: Sequence[float | None]) -> list[float | None]:
    """Times of day, counted on over midnight, and days without a year, counted on over its end. Others stay.

    A step back is at most a quarter of a day or year: people rather wait for an answer than get it before they ask.
    """
    known = [time for time in times if time is not None]
    period = next((period for start, period in _CYCLES if all(start <= time < start + period for time in known)), 0.0)
    if not known or not period:
        return list(times)
    unwrapped: list[float | None] = []
    last: float | None = None
    for time in times:
        if time is not None:
            last = time if last is None else last + (time - last + period / 4) % period - period / 4
        unwrapped.append(None if time is None else last)
    return unwrapped
