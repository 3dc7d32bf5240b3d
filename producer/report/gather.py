"""What the report says, gathered from the ledger."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from aftercall.conversation import Turn, parse_turns
from aftercall.ledger import failures, history
from aftercall.ledger.failures import FailureCount
from aftercall.ledger.history import SummaryFigures, WorthReading
from producer.report.charts import Throughput, draw, period_s
from producer.report.drift import Change, Figure, compare
from producer.report.nights import make_figures, night_figures, nights_before
from producer.report.rejections import count_reasons
from producer.source_paths import rejected_path
from producer.standing import Standings, read_standings

NUM_WORTH_READING = 10

#: Nights that this one is compared with.
NUM_NIGHTS = 7

HOUR_S = 3_600.0


@dataclass(frozen=True, slots=True)
class Reading:
    """A summary worth reading, with its conversation and why."""

    found: WorthReading
    turns: tuple[Turn, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Report:
    """Everything on the page."""

    standings: Standings
    failed: tuple[FailureCount, ...]
    #: Reason and number of rows; fewer than were rejected if their files are elsewhere.
    rejected: tuple[tuple[str, int], ...]
    figures: SummaryFigures
    #: Why summaries need a review, contact reasons and resolutions, where the ledger has them.
    review_reasons: tuple[tuple[str, int], ...]
    contact_reasons: tuple[tuple[str, int], ...]
    resolutions: tuple[tuple[str, int], ...]
    throughput: Throughput
    #: Seconds since the epoch.
    begin_at: float
    end_at: float
    gpu_hour_cost: float
    changes: tuple[Change, ...]
    num_nights: int
    readings: tuple[Reading, ...]
    #: Sources that couldn't be read, and why.
    unread: tuple[tuple[str, str], ...]

    @property
    def is_open(self) -> bool:
        """Whether the night was not over when the report was made."""
        return not all(each.has_ended for each in self.standings.submissions)

    @property
    def cost(self) -> float | None:
        """Of the whole night, in the setting's currency; None without a rate."""
        return self.throughput.busy_s / HOUR_S * self.gpu_hour_cost if self.gpu_hour_cost else None

    @property
    def cost_per_1000(self) -> float | None:
        """Of 1,000 done conversations; None without a rate or a done conversation."""
        num_worked = sum(each.span.num_worked for each in self.standings.submissions)
        return self.cost / num_worked * 1_000 if self.cost is not None and num_worked else None


def gather(
    database: Engine,
    submission_ids: Collection[int],
    *,
    deadline: str = "",
    gpu_hour_cost: float = 0.0,
    rejected_files: Mapping[int, Path] | None = None,
    unread: Sequence[tuple[str, str]] = (),
) -> Report:
    """Read what the page about these submissions says.

    Args:
        deadline: as `next_deadline` reads it.
        rejected_files: where the rejected rows of a submission are; otherwise next to its source.
        unread: sources that couldn't be read, and why.

    Raises NotFoundError if a submission is missing.
    """
    numbers = sorted(set(submission_ids))
    standings = read_standings(database, numbers, deadline)
    begin_at, end_at = _times(standings)
    fine_s = period_s(end_at - begin_at)
    finished = history.finished_by_worker(database, numbers, begin_at, fine_s)
    figures = history.summary_figures(database, numbers)
    nights = _figures_before(database, numbers[0]) if numbers else []
    return Report(
        standings=standings,
        failed=tuple(_failed(database, numbers)),
        rejected=tuple(count_reasons(_rejected_files(standings, rejected_files or {}))),
        figures=figures,
        review_reasons=tuple(history.tally(database, numbers, "reasons", is_review=True)),
        contact_reasons=tuple(history.tally(database, numbers, "reason")),
        resolutions=tuple(history.tally(database, numbers, "resolution")),
        throughput=draw(finished, end_at - begin_at, fine_s),
        begin_at=begin_at,
        end_at=end_at,
        gpu_hour_cost=gpu_hour_cost,
        changes=tuple(_changes(make_figures(standings.total, figures), nights)),
        num_nights=len(nights),
        readings=tuple(map(_reading, history.worth_reading(database, numbers, NUM_WORTH_READING))),
        unread=tuple(unread),
    )


def _times(standings: Standings) -> tuple[float, float]:
    """From the first conversation that was finished to the last, or to now."""
    at = standings.pace.at
    begins = [each.span.first_at for each in standings.submissions if each.span.first_at is not None]
    ends = [each.estimate.ended_at or at for each in standings.submissions]
    begin_at = min(begins, default=at)
    return begin_at, max([begin_at, *ends])


def _failed(database: Engine, numbers: Sequence[int]) -> list[FailureCount]:
    """Why conversations failed, over all submissions of the night."""
    by_code: dict[str, FailureCount] = {}
    for each in (each for number in numbers for each in failures.counts(database, number)):
        before = by_code.get(each.code)
        num = each.num_conversations + (before.num_conversations if before else 0)
        by_code[each.code] = FailureCount(each.code, before.example if before else each.example, num)
    return sorted(by_code.values(), key=lambda each: -each.num_conversations)


def _rejected_files(standings: Standings, known: Mapping[int, Path]) -> list[Path]:
    records = [each.record for each in standings.submissions if each.record.num_rejected]
    return [known.get(record.id) or rejected_path(record.name) for record in records]


def _figures_before(database: Engine, number: int) -> list[list[Figure]]:
    nights = nights_before(database, number, NUM_NIGHTS)
    return [figures for numbers in nights if (figures := night_figures(database, numbers))]


def _changes(figures: Sequence[Figure], nights: Sequence[Sequence[Figure]]) -> list[Change]:
    return [
        compare(figure, [earlier.value for night in nights for earlier in night if earlier.name == figure.name])
        for figure in figures
    ]


def _reading(found: WorthReading) -> Reading:
    reasons = {
        "needs review": found.needs_review,
        "cut at the token limit": found.is_cut,
        f"the model saw {found.coverage:.0%} of it": found.coverage < 1,
    }
    why = ", ".join(reason for reason, holds in reasons.items() if holds)
    return Reading(found, parse_turns(found.conversation), why or "one of the longest conversations")
