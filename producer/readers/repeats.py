"""Rows that are in an export twice, as where two exports overlap. Pure."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Row = TypeVar("Row")


def without_repeats(
    rows: Iterable[Row],
    time_of: Callable[[Row], float | None],
    cells_of: Callable[[Row], tuple[object, ...]],
    counts: Counter[str],
) -> Iterator[Row]:
    """The rows of one conversation, each once; how many were left out is counted as `repeats`.

    A row is a repeat if all of its cells are those of another row of the same time, or of the row above it where there
    is no time: people do say "ok" twice.

    Args:
        rows: in the order of time, where there are times.
    """
    seen: set[tuple[object, ...]] = set()
    last_time: float | None = None
    for row in rows:
        time, cells = time_of(row), cells_of(row)
        if time is None or time != last_time:
            seen &= {cells} if time is None and last_time is None else set()
        if cells in seen:
            counts["repeats"] += 1
            continue
        seen.add(cells)
        last_time = time
        yield row
