"""What puts turns in order where no column holds their whole time: a day and a clock, or a turn's number. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from producer.readers.layouts import names
from producer.readers.layouts.paths import quote_name
from producer.readers.layouts.values import is_missing
from producer.readers.timing.times import DAY_S, UNDATED_S, parse_time


def find_order(samples: Sequence[Mapping[str, Any]], time: str | None) -> dict[str, str]:
    """The path of the time, if another than `time` says more; else nothing."""
    if time is None:
        place = next((name for name in _called(samples, names.PLACES) if _all(samples, name, _is_number)), None)
        return {"time": quote_name(place)} if place else {}
    clock = time.strip('"')
    if not _all(samples, clock, _is_clock):
        return {}
    day = next((name for name in _called(samples, names.DAYS) if name != clock and _all(samples, name, _is_day)), None)
    return {"time": f"join(' ', [{quote_name(day)}, {quote_name(clock)}])"} if day else {}


def _called(samples: Sequence[Mapping[str, Any]], known: Sequence[str]) -> list[str]:
    ranks = {names.plain(name): rank for rank, name in enumerate(known)}
    found = [name for name in (samples[0] if samples else ()) if names.plain(name) in ranks]
    return sorted(found, key=lambda name: ranks[names.plain(name)])


def _all(samples: Sequence[Mapping[str, Any]], name: str, fits: Any) -> bool:
    values = [str(item[name]).strip() for item in samples if not is_missing(item.get(name))]
    return len(values) > 1 and all(map(fits, values))


def _is_number(value: str) -> bool:
    return value.isascii() and value.removesuffix(".0").isdigit() and len(value) < 10


def _is_clock(value: str) -> bool:
    time = parse_time(value)
    return time is not None and UNDATED_S <= time < UNDATED_S + DAY_S


def _is_day(value: str) -> bool:
    time = parse_time(value, day_first=True) or parse_time(value, day_first=False)
    return time is not None and not _is_clock(value) and ":" not in value and not value.isdigit()
