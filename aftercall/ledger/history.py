"""What a night was like: who finished how much when, how long summaries are, and which are worth reading. Only reads.

Some columns of `summary` are newer than others: what a ledger's summaries don't have is left out.
"""

import json
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Engine, Select, case, cast, func, null, or_, select

from aftercall.database import reading
from aftercall.models import Job, JobState, Submission, SubmissionJob, Summary


@dataclass(frozen=True, slots=True)
class Finished:
    """How much one worker finished in one period."""

    worker: str
    #: Counted from the beginning that was asked for.
    period: int
    num_summaries: int
    num_tokens: int


@dataclass(frozen=True, slots=True)
class SummaryFigures:
    """Figures of the newest summaries of submissions."""

    num_summaries: int
    mean_tokens: float
    #: Cut at max_new_tokens.
    num_cut: int
    #: Of conversations that the model saw only in part.
    num_partial: int
    #: That need a review; None: the ledger doesn't know.
    num_flagged: int | None


@dataclass(frozen=True, slots=True)
class WorthReading:
    """A summary that a person should read, and its conversation."""

    submission_id: int
    external_id: str
    summary: str
    #: `user: …` and `agent: …` lines.
    conversation: str
    is_cut: bool
    coverage: float
    needs_review: bool
    risk: float | None


def finished_by_worker(
    engine: Engine, submission_ids: Collection[int], begin: float, period_s: float
) -> list[Finished]:
    """What each worker finished of these submissions, in periods of so many seconds since `begin`."""
    # Cut off, not rounded: PostgreSQL's cast to an integer rounds.
    period = cast(func.floor((Summary.created_at - begin) / period_s), BigInteger)
    query = (
        select(Summary.worker, period, func.count(), func.sum(Summary.num_completion_tokens))
        .where(Summary.created_at >= begin, Summary.job_id.in_(_jobs(submission_ids)))
        .group_by(Summary.worker, period)
        .order_by(Summary.worker, period)
    )
    with reading(engine) as connection:
        return [Finished(*row) for row in connection.execute(query)]


def summary_figures(engine: Engine, submission_ids: Collection[int]) -> SummaryFigures:
    """Figures of the summaries that these submissions have now."""
    flagged = _column("needs_review")
    columns = (
        func.count(),
        func.coalesce(func.avg(Summary.num_completion_tokens), 0.0),
        func.count(case((Summary.finish_reason == "length", 1))),
        func.count(case((Summary.coverage < 1, 1))),
        null() if flagged is None else func.count(case((flagged, 1))),
    )
    with reading(engine) as connection:
        num, mean, *counts = connection.execute(_of_newest(submission_ids, *columns)).one()
    return SummaryFigures(num, float(mean), *counts)


def tally(
    engine: Engine, submission_ids: Collection[int], name: str, *, is_review: bool = False
) -> list[tuple[str, int]]:
    """How often each label in a column of `summary` occurs, most frequent first; empty if there is no such column.

    Args:
        is_review: only in summaries that need a review.
    """
    column = _column(name)
    if column is None:
        return []
    query = _of_newest(submission_ids, column, func.count()).where(column.is_not(None)).group_by(column)
    flagged = _column("needs_review")
    if is_review and flagged is not None:
        query = query.where(flagged)
    counts: Counter[str] = Counter()
    with reading(engine) as connection:
        for value, count in connection.execute(query):
            for label in _labels(value):
                counts[label] += count
    return counts.most_common()


def _labels(value: str) -> list[str]:
    """A column holds one label or a JSON list of them."""
    return [str(label) for label in json.loads(value)] if value.startswith("[") else [value]


def worth_reading(engine: Engine, submission_ids: Collection[int], max_rows: int) -> list[WorthReading]:
    """The summaries most worth reading: those that need a review, were cut or saw only a part, then the longest."""
    flagged, risk = _column("needs_review"), _column("risk")
    doubtful = or_(Summary.finish_reason == "length", Summary.coverage < 1)
    order: list[ColumnElement[Any]] = [
        *([] if flagged is None else [case((flagged, 1), else_=0).desc()]),
        *([] if risk is None else [func.coalesce(risk, 0.0).desc()]),
        case((doubtful, 1), else_=0).desc(),
        Summary.num_prompt_tokens.desc(),
        Summary.id.asc(),
    ]
    columns = (
        SubmissionJob.submission_id,
        SubmissionJob.external_id,
        Summary.text,
        Job.text,
        Summary.finish_reason == "length",
        Summary.coverage,
        null() if flagged is None else flagged,
        null() if risk is None else risk,
    )
    query = _of_newest(submission_ids, *columns).order_by(*order).limit(max_rows)
    with reading(engine) as connection:
        return [
            WorthReading(number, name, summary, conversation, bool(is_cut), coverage, bool(needs_review), risk)
            for number, name, summary, conversation, is_cut, coverage, needs_review, risk in connection.execute(query)
        ]


def some_texts(engine: Engine, submission_ids: Collection[int], max_rows: int) -> Sequence[str]:
    """Some of the conversations of submissions, `user: …` and `agent: …` lines each; always the same."""
    # Keys are digests: in their order, the first ones are a sample of the whole source.
    query = select(Job.text).where(Job.id.in_(_jobs(submission_ids))).order_by(Job.job_key).limit(max_rows)
    with reading(engine) as connection:
        return connection.execute(query).scalars().all()


def submissions_before(engine: Engine, submission_id: int, max_rows: int) -> Sequence[tuple[int, float]]:
    """Number and time of the submissions before this one, newest first."""
    query = (
        select(Submission.id, Submission.created_at)
        .where(Submission.id < submission_id)
        .order_by(Submission.id.desc())
        .limit(max_rows)
    )
    with reading(engine) as connection:
        return [(number, created_at) for number, created_at in connection.execute(query)]


def _jobs(submission_ids: Collection[int]) -> Select[int]:
    return select(SubmissionJob.job_id).where(SubmissionJob.submission_id.in_(submission_ids))


def _of_newest(submission_ids: Collection[int], *columns: Any) -> Select[Any]:
    """These columns of the newest summary of each done conversation."""
    newest = (
        select(func.max(Summary.id)).where(Summary.job_id == SubmissionJob.job_id).correlate(SubmissionJob)
    ).scalar_subquery()
    return (
        select(*columns)
        .select_from(SubmissionJob)
        .join(Job, Job.id == SubmissionJob.job_id)
        .join(Summary, Summary.id == newest)
        .where(SubmissionJob.submission_id.in_(submission_ids), Job.state == JobState.DONE)
    )


def _column(name: str) -> ColumnElement[Any] | None:
    return Summary.__table__.columns.get(name)
