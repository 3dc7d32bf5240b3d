"""Where a night's seconds went: what the ledger noted, beside what the devices did. Knows no worker."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine, func, select

from aftercall.database import reading
from aftercall.models import Job, Summary
from bench.timing.spans import Span, describe, within

#: A full prefill takes half of this.
SLOW_STEP_S = 0.08


@dataclass(frozen=True, slots=True)
class Night:
    """The moments of one submission, in seconds since the epoch."""

    started_s: float
    first_commit_s: float
    last_commit_s: float
    #: When each summary was written, in order.
    written_s: tuple[float, ...]


def read_night(database: Engine, started_s: float) -> Night:
    """What the ledger holds since a moment."""
    jobs = select(func.min(Job.created_at), func.max(Job.created_at)).where(Job.created_at >= started_s)
    written = select(Summary.created_at).where(Summary.created_at >= started_s).order_by(Summary.created_at)
    with reading(database) as connection:
        first, last = connection.execute(jobs).one()
        return Night(started_s, first, last, tuple(connection.execute(written).scalars()))


def report(night: Night, spans: Sequence[Span], num_devices: int) -> str:
    """The phases, the devices' share, and a line of counts a second."""
    started_s, ended_s = night.started_s, night.written_s[-1]
    spans = within(spans, started_s, ended_s)
    moments = {
        "first commit": night.first_commit_s,
        "last": night.last_commit_s,
        "first step": spans[0].start_s,
        "first summary": night.written_s[0],
        "last step": max(span.end_s for span in spans),
        "last summary": ended_s,
    }
    seconds = range(int(ended_s - started_s) + 1)
    written = Counter(int(at - started_s) for at in night.written_s)
    busy = Counter[int]()
    for span in spans:
        busy[int(span.start_s - started_s)] += round(span.duration_s * 1e3)
    return "\n".join(
        (
            "  " + ", ".join(f"{name} {at - started_s:.2f}" for name, at in moments.items()) + " s",
            "  " + describe(spans, len(night.written_s), (ended_s - started_s) * num_devices),
            "  summaries each second: " + " ".join(str(written[second]) for second in seconds),
            "  " + slow(spans),
            "  device busy, % of each: " + " ".join(f"{busy[second] / num_devices / 10:.0f}" for second in seconds),
        )
    )


def slow(spans: Sequence[Span]) -> str:
    """The steps that took far longer than any should: a graph is captured, or the host is held up."""
    found = [span for span in spans if span.duration_s > SLOW_STEP_S or span.launch_s > SLOW_STEP_S]
    seconds = sum(max(span.duration_s, span.launch_s) for span in found)
    sizes = " ".join(f"{'p' if span.is_prefill else 'd'}{span.num_seqs}" for span in found[:30])
    return f"steps over {SLOW_STEP_S * 1e3:.0f} ms: {len(found)}, {seconds:.2f} s in all: {sizes}"
