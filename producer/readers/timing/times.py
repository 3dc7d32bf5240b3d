"""When something was said, in the ways exports write it. Pure.

A date such as 03/04/2025 has two readings. `TimeReader` takes the one that fits the other dates of its column.
A general date parser fills in what it doesn't find; here a text that isn't a time through and through is none.
"""

import math
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

from producer.readers.timing.months import ZONES, find_half, find_month, is_filler, plain

#: Times of day without a date lie on this day, the first of the year 1: the date is not known.
UNDATED_S = -62135596800.0
DAY_S = 86400.0
#: Days without a year lie in the year 4, the first with a 29 February.
YEARLESS = 4
YEARLESS_S = UNDATED_S + (365 * 3) * DAY_S
LEAP_YEAR_S = 366 * DAY_S

_MAX_TIME_CHARS = 80
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
#: Seconds since 1970 reach this in the year 5138; greater numbers count milliseconds, microseconds, nanoseconds.
_MAX_SECONDS = 1e11
#: Excel counts days since 1899; these are the years 1954 to 2119.
_EXCEL_DAYS = (20_000, 80_000)
_EXCEL_EPOCH = 25_569
_COMPACT = re.compile(r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[0-5]\d{5})?")

_CLOCK = re.compile(
    r"(?<!\d)(\d{1,2})(?:[:h]|時|시|点|點)\s?(?:(\d{1,2})(?:[:m分]|분)?\s?(?:(\d{1,2})(?:[.,:]\d{1,9})?[s秒초]?)?)?(?!\d)"
)
#: `09.59.00.000000 AM`, as Oracle writes a clock behind a date.
_DOTTED_CLOCK = re.compile(r"(?<=\s)(\d{1,2})\.(\d{2})\.(\d{2})(?:[.,]\d{1,9})?(?=\s|$)")
_NUMERIC_DATE = re.compile(r"(?<!\w)(\d{1,4})\s?([-/.年년])\s?(\d{1,2})\s?[-/.月월]\s?(\d{1,4})[.日일]?(?!\d)")
#: What most spreadsheets write; ten times faster than to take it apart.
_USUAL = re.compile(
    r"(\d{1,2})([/.-])(\d{1,2})[/.-](\d{4}|\d{2}),?[ \u202f](\d{1,2}):(\d{2})(?::(\d{2}))?(?:[ \u202f]?([AaPp])[Mm])?"
)
_OFFSET = re.compile(r"(?<![\d\w])(?:UTC|GMT)?\s?([+\-−])(\d{1,2}):?(\d{2})?(?!\d)", re.IGNORECASE)
_ZONE_NAME = re.compile(r"[A-Z][A-Za-z]+(?:/[A-Z][A-Za-z_]+){1,2}")
_HALF = re.compile(r"(?<![^\W\d_])([ap])\.?\s?m(?:\.|(?![^\W\d_]))", re.IGNORECASE)
_REMARK = re.compile(r"\([^()\d]*(?:\)|$)")
_WORD = re.compile(r"[^\W\d_]+\.?")
_ELAPSED = re.compile(
    r"(?:(\d{1,3})\s?(?:h|hrs?|hours?|std)\.?,?\s*)?(?:(\d{1,4})\s?(?:m|mins?|minutes?)\.?,?\s*)?"
    r"(?:(\d{1,5})(?:\.\d+)?\s?(?:s|secs?|seconds?|sek)\.?)?",
    re.IGNORECASE,
)


def parse_time(text: str, *, day_first: bool | None = None) -> float | None:
    """Seconds since 1970, or None if this is no time. Without a zone it is read as UTC.

    A time of day without a date is counted from `UNDATED_S`, a day without a year from `YEARLESS_S`, an elapsed time
    such as `1m 3s` from 0. A date that may
    be read day first or month first is no time as long as `day_first` is not told.
    """
    text = text.strip()
    if not text or len(text) > _MAX_TIME_CHARS:
        return None
    if _NUMBER.fullmatch(text):
        return _parse_number(text)
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        pass
    if (match := _ELAPSED.fullmatch(text.strip("()[] "))) and any(match.groups()):
        hours, minutes, seconds = (int(group or 0) for group in match.groups())
        return hours * 3600.0 + minutes * 60 + seconds
    try:
        if match := _USUAL.fullmatch(text):
            return _read_usual(match, day_first)
        return _parse_written(unicodedata.normalize("NFKC", text), day_first)
    except (ValueError, OverflowError, KeyError, OSError):  # the last two: no such zone
        return None


def is_ambiguous(text: str) -> bool:
    """Whether this is a time with a date that may be read day first or month first."""
    return parse_time(text) is None and parse_time(text, day_first=True) is not None


class TimeReader:
    """Reads the times of one column, whose dates all have their day in one place."""

    def __init__(self, samples: Iterable[str] = ()) -> None:
        self._orders: set[bool] = set()
        self._guess: bool | None = None
        for sample in samples:
            self.feed(sample)

    def feed(self, text: str) -> None:
        """Learn from one time of the column where the day stands."""
        match = _NUMERIC_DATE.search(text[:_MAX_TIME_CHARS])
        if match is None or len(match[1]) > 2 or match[2] == ".":
            return
        one, two = int(match[1]), int(match[3])
        if one != two and max(one, two) > 12 >= min(one, two):
            self._orders.add(one > two)
        elif self._guess is None and one != two:
            # The order 11/20 comes with AM and PM, and without leading zeros; nearly all others write 20/11.
            is_american = _HALF.search(text) is not None or (match[2] == "/" and not match[0].startswith("0"))
            self._guess = not is_american if min(one, two) < 10 else None

    @property
    def day_first(self) -> bool | None:
        """Where the day stands in dates that could be read both ways; None if the column contradicts itself."""
        if self._orders:
            return next(iter(self._orders)) if len(self._orders) == 1 else None
        return self._guess

    @property
    def is_guess(self) -> bool:
        """Whether there are dates that could be read both ways, and no date of the column says which."""
        return not self._orders and self._guess is not None

    def read(self, text: str) -> float | None:
        """Seconds since 1970, as `parse_time` has it."""
        return parse_time(text, day_first=self.day_first)


def _parse_number(text: str) -> float | None:
    if _COMPACT.fullmatch(text):
        return datetime.strptime(text.ljust(14, "0"), "%Y%m%d%H%M%S").replace(tzinfo=UTC).timestamp()
    seconds = float(text)
    if _EXCEL_DAYS[0] <= seconds <= _EXCEL_DAYS[1]:
        return (seconds - _EXCEL_EPOCH) * DAY_S
    while math.isfinite(seconds) and seconds >= _MAX_SECONDS:
        seconds /= 1000
    return seconds if math.isfinite(seconds) else None


def _read_usual(match: re.Match[str], day_first: bool | None) -> float | None:
    date = _order_numeric(match, day_first)
    if date is None:
        return None
    half = f"{match[8].upper()}M" if match[8] else None
    return datetime(*date, tzinfo=UTC).timestamp() + _clock_seconds(match[5], match[6], match[7], half)


def _parse_written(text: str, day_first: bool | None) -> float | None:
    """A date, a clock or both, and nothing else in the text. Raises ValueError if its numbers make no time."""
    text = "".join(char for char in text if unicodedata.category(char) != "Cf").strip("[](){}<>|,;*- ")
    text = _DOTTED_CLOCK.sub(r"\1:\2:\3", text)
    clock, text = _cut(_CLOCK, _HALF.sub(r" \1m ", text))
    numeric, text = _cut(_NUMERIC_DATE, text)
    zone, text = _cut_zone(text) if clock else (None, text)
    words = _read_words(text)
    if words is None or not (clock or numeric or words.month):
        return None
    seconds = _clock_seconds(clock[1], clock[2], clock[3], words.half) if clock else 0.0
    numbers = [int(number) for number in re.findall(r"\d+", text)]
    if numeric and not numbers and not words.month:
        date = _order_numeric(numeric, day_first)
    elif words.month and not numeric:
        date = _order_named(numbers, words.month)
    else:
        return None if numeric or numbers or words.month else UNDATED_S + seconds
    return None if date is None else datetime(*date, tzinfo=zone or words.zone or UTC).timestamp() + seconds


@dataclass(frozen=True, slots=True)
class _Words:
    """What the words of a time say."""

    month: int | None
    half: str | None
    zone: tzinfo | None


def _read_words(text: str) -> _Words | None:
    """None if a word has no business in a time."""
    month = half = zone = None
    for written in _WORD.findall(text):
        word = plain(written)
        if (hours := ZONES.get(written)) is not None:
            zone = timezone(timedelta(hours=hours))
        elif found := find_half(word):
            half = found
        elif is_filler(word):
            continue
        elif month is None and (number := find_month(word)):
            month = number
        elif (hours := ZONES.get(written.upper())) is not None:
            zone = timezone(timedelta(hours=hours))
        else:
            return None
    return _Words(month, half, zone)


def _cut(pattern: re.Pattern[str], text: str) -> tuple[re.Match[str] | None, str]:
    """The first match, and the text without it."""
    match = pattern.search(text)
    return (match, f"{text[: match.start()]} {text[match.end() :]}") if match else (None, text)


def _cut_zone(text: str) -> tuple[tzinfo | None, str]:
    """The offset from UTC or the zone's name, and the text without it. Raises ValueError on a name of no zone."""
    match, rest = _cut(_OFFSET, text)
    if match:
        minutes = int(match[2]) * 60 + int(match[3] or 0)
        return timezone(timedelta(minutes=minutes if match[1] == "+" else -minutes)), _REMARK.sub(" ", rest)
    match, rest = _cut(_ZONE_NAME, text)
    return (ZoneInfo(match[0]), rest) if match else (None, text)


def _clock_seconds(hours: str, minutes: str | None, seconds: str | None, half: str | None) -> float:
    hour, minute, second = int(hours), int(minutes or 0), int(seconds or 0)
    if half and hour <= 12:  # some exports write `14:05 PM`
        hour = hour % 12 + (12 if half == "PM" else 0)
    if hour > 23 or minute > 59 or second > 60:
        raise ValueError("no time of day")
    return hour * 3600.0 + minute * 60 + second


def _order_numeric(match: re.Match[str], day_first: bool | None) -> tuple[int, int, int] | None:
    """Year, month and day of a date in numbers; None if it may be read in two ways."""
    one, two, three = int(match[1]), int(match[3]), int(match[4])
    if len(match[1]) > 2:
        return one, two, three
    year = three + 2000 if len(match[4]) <= 2 else three
    if match[2] == "." or one > 12 or one == two:
        return year, two, one
    if two > 12:
        return year, one, two
    return None if day_first is None else (year, two, one) if day_first else (year, one, two)


def _order_named(numbers: list[int], month: int) -> tuple[int, int, int] | None:
    """Year, month and day of a date whose month is a word; the year may come first or last."""
    if len(numbers) == 1:
        return YEARLESS, month, numbers[0]
    if len(numbers) != 2:
        return None
    one, two = numbers
    day, year = (two, one) if one > 31 else (one, two)
    return year + 2000 if year < 100 else year, month, day
