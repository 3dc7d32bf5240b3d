"""The charts of the report: coordinates for inline SVG. Colours are the template's."""

from collections.abc import Sequence
from dataclasses import dataclass

from aftercall.ledger.history import Finished

#: Bars in a chart, at most.
MAX_BARS = 96

#: Lengths of a bar that people can read off an axis, in seconds.
BAR_LENGTHS_S = (5, 10, 30, 60, 120, 300, 600, 900, 1_800, 3_600)

#: The chart's drawing area, in its own units.
WIDTH = 960.0
HEIGHT = 160.0


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar: where it is, and how full it is from 0 to 1."""

    x: float
    width: float
    level: float
    count: int

    @property
    def height(self) -> float:
        """In the chart's units."""
        return self.level * HEIGHT


@dataclass(frozen=True, slots=True)
class Lane:
    """What one worker did over the night."""

    worker: str
    num_summaries: int
    #: Time in periods in which it finished something.
    busy_s: float
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Throughput:
    """The whole night, and each worker's lane."""

    bar_s: int
    #: Of the fullest bar.
    max_rate: float
    bars: tuple[Bar, ...]
    lanes: tuple[Lane, ...]

    @property
    def busy_s(self) -> float:
        """Of all workers together: each is one process on one GPU."""
        return sum(lane.busy_s for lane in self.lanes)


def period_s(span_s: float) -> int:
    """How finely to ask the ledger: by the minute, or by five seconds in a short night."""
    return 60 if span_s > 3_600 else 5


def draw(finished: Sequence[Finished], span_s: float, fine_s: int) -> Throughput:
    """The charts of a night of `span_s` seconds, of what was counted in periods of `fine_s` seconds."""
    bar_s = next((each for each in BAR_LENGTHS_S if each >= fine_s and span_s / each <= MAX_BARS), BAR_LENGTHS_S[-1])
    num_bars = int(span_s // bar_s) + 1
    total: dict[int, int] = {}
    by_worker: dict[str, dict[int, int]] = {}
    busy: dict[str, int] = {}
    for each in finished:
        bar = min(each.period * fine_s // bar_s, num_bars - 1)
        lane = by_worker.setdefault(each.worker, {})
        lane[bar] = lane.get(bar, 0) + each.num_summaries
        total[bar] = total.get(bar, 0) + each.num_summaries
        busy[each.worker] = busy.get(each.worker, 0) + fine_s
    fullest = max((count for lane in by_worker.values() for count in lane.values()), default=1)
    lanes = (
        Lane(worker, sum(lane.values()), busy[worker], _bars(lane, num_bars, fullest))
        for worker, lane in sorted(by_worker.items())
    )
    highest = max(total.values(), default=1)
    return Throughput(bar_s, highest / bar_s, _bars(total, num_bars, highest), tuple(lanes))


def _bars(counts: dict[int, int], num_bars: int, fullest: int) -> tuple[Bar, ...]:
    width = WIDTH / num_bars
    return tuple(
        Bar(round(bar * width, 2), round(width, 2), round(count / fullest, 4), count)
        for bar, count in sorted(counts.items())
    )
