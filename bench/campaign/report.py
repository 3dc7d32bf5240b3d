"""What a campaign measured: recovery times by kind of fault, attempts, and what was generated twice.

Recovery, by the database's clock, which on one machine is that of the campaign:

- of a fault that strikes workers: seconds from the signal until the last of the conversations that they held is done.
  That is the lease, a place behind all that waits in the queue by then, and whatever strikes them on their way again;
- of any other fault: seconds from its end until a conversation is done that no worker held at that moment, so that it
  had to come through queue and claim after the fault.

Poisoned conversations are not counted. A fault after which there was nothing left to do, or that struck a worker with
empty hands, has no recovery time; it is counted as a fault.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from sqlalchemy import Engine, select

from aftercall.database import reading
from aftercall.models import Job, JobState


@dataclass(frozen=True, slots=True)
class Struck:
    """A fault that has happened."""

    kind: str
    #: From when recovery counts.
    since: float
    #: What the struck workers held; empty: any other fault, or their hands were empty.
    held: frozenset[int]
    #: Whether it struck workers.
    is_workers: bool
    #: All that any worker held when it had ended.
    running: frozenset[int]


@dataclass(frozen=True, slots=True)
class SeedResult:
    """What one seed came to."""

    seed: int
    #: By kind of fault, in the order in which they happened; None where there is no recovery time.
    recoveries: dict[str, list[float | None]]
    num_conversations: int
    #: How many conversations took how many attempts.
    attempts: Counter[int]
    #: How many conversations that are not poisoned were begun more than once, and how often in all.
    num_repeated: int
    elapsed_s: float
    wrongs: tuple[str, ...]

    @property
    def num_lost(self) -> int:
        """Conversations that are in no account any more."""
        return sum(wrong.endswith(" is lost") for wrong in self.wrongs)

    @property
    def num_wrong(self) -> int:
        """Everything else that is not as it has to be."""
        return len(self.wrongs) - self.num_lost


def recoveries(engine: Engine, strikes: Sequence[Struck]) -> dict[str, list[float | None]]:
    """Seconds to recovery by kind."""
    with reading(engine) as connection:
        done = select(Job.id, Job.finished_at).where(Job.state == JobState.DONE)
        finished = {row.id: row.finished_at or 0.0 for row in connection.execute(done)}
    by_kind: dict[str, list[float | None]] = defaultdict(list)
    for struck in strikes:
        by_kind[struck.kind].append(_recovery_s(struck, finished))
    return dict(by_kind)


def _recovery_s(struck: Struck, finished: dict[int, float]) -> float | None:
    if struck.is_workers:
        ends = [finished[job_id] for job_id in struck.held if finished.get(job_id, 0.0) >= struck.since]
        return max(ends) - struck.since if ends else None
    ends = [at for job_id, at in finished.items() if at >= struck.since and job_id not in struck.running]
    return min(ends) - struck.since if ends else None


def attempts(engine: Engine) -> Counter[int]:
    """How many finished conversations took how many attempts."""
    with reading(engine) as connection:
        return Counter(connection.execute(select(Job.attempts).where(Job.state == JobState.DONE)).scalars())


def num_repeated(calls: Path) -> int:
    """How many conversations that end well were begun more than once."""
    begun = Counter(calls.read_text(encoding="utf-8").splitlines())
    return sum(num > 1 and " C-" in line for line, num in begun.items())


def table(results: Sequence[SeedResult]) -> str:
    """Faults, what was lost or wrong, and recovery times by kind, all seeds together, as Markdown.

    Faults overlap, so nothing can be blamed on one of them: a kind's row counts what was lost or wrong in the seeds in
    which it struck.
    """
    by_kind: dict[str, list[float | None]] = defaultdict(list)
    for result in results:
        for kind, times in result.recoveries.items():
            by_kind[kind].extend(times)
    rows = ["| fault | times | lost | wrong | measured | median s | worst s |", "|---|---|---|---|---|---|---|"]
    rows += [
        _line(kind, times, [result for result in results if kind in result.recoveries])
        for kind, times in sorted(by_kind.items())
    ]
    return "\n".join([*rows, _line("**all**", [time for times in by_kind.values() for time in times], results)])


def _line(kind: str, times: Sequence[float | None], struck: Sequence[SeedResult]) -> str:
    measured = [time for time in times if time is not None]
    figures = f"{median(measured):.1f} | {max(measured):.1f}" if measured else "| "
    num_lost, num_wrong = sum(each.num_lost for each in struck), sum(each.num_wrong for each in struck)
    return f"| {kind} | {len(times)} | {num_lost} | {num_wrong} | {len(measured)} | {figures} |"


def totals(results: Sequence[SeedResult]) -> str:
    """The other figures in a few lines."""
    taken = sum((result.attempts for result in results), Counter())
    num = sum(result.num_conversations for result in results)
    repeated = sum(result.num_repeated for result in results)
    wrong = [f"{result.seed}" for result in results if result.wrongs]
    return "\n".join(
        (
            f"{len(results)} seeds, {num:,} conversations, {sum(r.elapsed_s for r in results) / 60:.1f} minutes",
            "attempts: " + ", ".join(f"{attempt}: {taken[attempt]:,}" for attempt in sorted(taken)),
            f"begun more than once: {repeated:,} ({repeated / num:.1%})",
            f"seeds with something lost, repeated or wrong: {', '.join(wrong) or 'none'}",
        )
    )
