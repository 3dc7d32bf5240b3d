"""Points in time and durations, as people type them, as programs read them and as sentences say them."""

import re
from datetime import UTC, datetime, timedelta

import click

#: Letter to seconds.
UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}

_CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")

MINUTE_S = 60
HOUR_S = 3_600


def to_utc(seconds: float | None) -> str | None:
    """Seconds since the epoch as `2026-11-28T05:12:00Z`."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def clock(seconds: float, near: float) -> str:
    """Seconds since the epoch by the local clock; with the date if it is not within a day of `near`."""
    return datetime.fromtimestamp(seconds).strftime("%H:%M" if abs(seconds - near) < UNITS["d"] else "%m-%d %H:%M")


def parse_duration(words: str) -> float:
    """The seconds of `90s`, `30m`, `2h` or `1d`.

    Raises click.BadParameter for anything else.
    """
    match = re.fullmatch(r"([0-9]{1,6})([smhd])", words)
    if match is None:
        raise click.BadParameter(
            f"{words!r} is not a duration. Write seconds, minutes, hours or days: 90s, 30m, 2h, 1d."
        )
    return float(int(match[1]) * UNITS[match[2]])


def check_deadline(words: str) -> str:
    """The words, if they are a deadline: `05:30`, or a date and time such as `2026-11-29T05:30`.

    Raises click.BadParameter otherwise.
    """
    try:
        next_deadline(words, 0.0)
    except ValueError:
        raise click.BadParameter(
            f"{words!r} is not a deadline. Write a time of the day (05:30) or a date and time (2026-11-29T05:30)."
        ) from None
    return words


def check_clock(words: str) -> str:
    """The words, if they are a time of the day.

    Raises click.BadParameter otherwise.
    """
    if not _CLOCK.fullmatch(words):
        raise click.BadParameter(f"{words!r} is not a time of the day. Write it as 23:00.")
    return words


def next_deadline(words: str, after: float) -> float:
    """When the deadline is, in seconds since the epoch: a time of the day is the first one after `after`, local time.

    Raises ValueError if the words are neither a time of the day nor a date and time.
    """
    if match := _CLOCK.fullmatch(words):
        start = datetime.fromtimestamp(after)
        deadline = start.replace(hour=int(match[1]), minute=int(match[2]), second=0, microsecond=0)
        return (deadline if deadline > start else deadline + timedelta(days=1)).timestamp()
    return datetime.fromisoformat(words).timestamp()


def duration(seconds: float) -> str:
    """A duration as a sentence has it: `40 seconds`, `35 minutes`, `1 hour 20 minutes`."""
    seconds = round(seconds)
    if seconds < 2 * MINUTE_S:
        return _counted(seconds, "second")
    if seconds < 2 * HOUR_S:
        return _counted(round(seconds / MINUTE_S), "minute")
    hours, rest = divmod(round(seconds / MINUTE_S), 60)
    return f"{_counted(hours, 'hour')} {_counted(rest, 'minute')}" if rest else _counted(hours, "hour")


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"
