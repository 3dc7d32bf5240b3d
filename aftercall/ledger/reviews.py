"""What people find about summaries: rows drawn for review, and reviews of them.

Two people review each row, and none sees what the other found.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Select,
    and_,
    case,
    delete,
    exists,
    func,
    literal,
    select,
)

from aftercall.database import now, reading
from aftercall.ledger.statements import insert
from aftercall.models import Job, JobState, Review, ReviewRow, SubmissionJob, Summary

#: People who review each row.
NUM_REVIEWERS = 2


class Decision(StrEnum):
    """What a person did with a summary."""

    APPROVED = "approved"
    CORRECTED = "corrected"
    #: They couldn't tell.
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Row:
    """A summary to review, with its conversation."""

    id: int
    submission_id: int
    job_id: int
    adapter_digest: str
    summary: str
    #: `user: …` and `agent: …` lines.
    conversation: str


@dataclass(frozen=True, slots=True)
class Found:
    """What one person found about a row."""

    row_id: int
    reviewer: str
    decision: Decision
    corrected: str | None = None
    reason: str | None = None
    #: Share of words that the correction changed, 0 to 1.
    edit_share: float = 0.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the review of a submission is."""

    submission_id: int
    num_rows: int
    #: Rows that one person has reviewed, and that two have.
    num_once: int
    num_twice: int


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A review as it is exported for training."""

    job_id: int
    external_id: str
    conversation: str
    summary: str
    corrected: str | None
    reviewer: str
    decision: str
    reason: str | None
    is_control: bool


def draw(engine: Engine, submission_id: int, num_risky: int, num_control: int) -> int:
    """Draw summaries of a submission that are not drawn yet: the riskiest, and a random control. Returns how many.

    Reads every summary of the submission.
    """
    riskiest = (case((Summary.needs_review.is_(True), 1), else_=0).desc(), func.coalesce(Summary.risk, 0.0).desc())
    with engine.begin() as connection:
        # The control first: it must be a sample of all, whatever the risk says.
        num_drawn = _draw(connection, submission_id, num_control, True, (func.random(),))
        return num_drawn + _draw(connection, submission_id, num_risky, False, riskiest)


def next_row(engine: Engine, submission_id: int, reviewer: str) -> Row | None:
    """The next row for a reviewer: first what another person has begun, then in the order of the draw."""
    num_others = select(func.count()).where(Review.row_id == ReviewRow.id).correlate(ReviewRow).scalar_subquery()
    is_mine = exists().where(Review.row_id == ReviewRow.id, Review.reviewer == reviewer)
    query = (
        _rows()
        .where(ReviewRow.submission_id == submission_id, ~is_mine, num_others < NUM_REVIEWERS)
        .order_by(num_others.desc(), ReviewRow.id)
        .limit(1)
    )
    with reading(engine) as connection:
        row = connection.execute(query).one_or_none()
    return Row(*row) if row else None


def row(engine: Engine, row_id: int) -> Row | None:
    """One row; None if it was purged or erased."""
    with reading(engine) as connection:
        found = connection.execute(_rows().where(ReviewRow.id == row_id)).one_or_none()
    return Row(*found) if found else None


def record(engine: Engine, found: Found) -> bool:
    """Record what a person found, in place of what they found before; whether the row still exists."""
    values = {
        "decision": found.decision.value,
        "corrected": found.corrected,
        "reason": found.reason,
        "edit_share": found.edit_share,
        "created_at": now(),
    }
    with engine.begin() as connection:
        # Locked against a purge until the review is in.
        held = select(ReviewRow.id).where(ReviewRow.id == found.row_id).with_for_update(read=True, key_share=True)
        if connection.execute(held).one_or_none() is None:
            return False
        new = insert(connection, Review).values(row_id=found.row_id, reviewer=found.reviewer, **values)
        connection.execute(new.on_conflict_do_update(index_elements=["row_id", "reviewer"], set_=values))
        return True


def progress(engine: Engine, submission_id: int | None = None) -> list[Progress]:
    """How far the reviews are, of the newest submission first."""
    reviews = select(Review.row_id, func.count().label("num")).group_by(Review.row_id).subquery()
    query = (
        select(
            ReviewRow.submission_id,
            func.count(),
            func.count(case((reviews.c.num == 1, 1))),
            func.count(case((reviews.c.num > 1, 1))),
        )
        .outerjoin(reviews, reviews.c.row_id == ReviewRow.id)
        .group_by(ReviewRow.submission_id)
        .order_by(ReviewRow.submission_id.desc())
    )
    if submission_id is not None:
        query = query.where(ReviewRow.submission_id == submission_id)
    with reading(engine) as connection:
        return [Progress(*each) for each in connection.execute(query)]


def reviewed(engine: Engine, submission_id: int) -> Iterator[Reviewed]:
    """The reviews of a submission whose summaries are still in the ledger, without the skipped ones, streamed."""
    external_id = (
        select(func.min(SubmissionJob.external_id))
        .where(SubmissionJob.job_id == ReviewRow.job_id, SubmissionJob.submission_id == submission_id)
        .correlate(ReviewRow)
        .scalar_subquery()
    )
    query = (
        select(
            ReviewRow.job_id,
            external_id,
            Job.text,
            ReviewRow.summary,
            Review.corrected,
            Review.reviewer,
            Review.decision,
            Review.reason,
            ReviewRow.is_control,
        )
        .join(Review, Review.row_id == ReviewRow.id)
        .join(Job, Job.id == ReviewRow.job_id)
        .join(Summary, is_summary_of_row())
        .where(ReviewRow.submission_id == submission_id, Review.decision != Decision.SKIPPED)
        .order_by(ReviewRow.id, Review.reviewer)
    )
    with reading(engine) as connection:
        for each in connection.execution_options(yield_per=500).execute(query):
            yield Reviewed(*each)


def delete_rows(connection: Connection, is_meant: ColumnElement[bool]) -> None:
    """Delete rows and their reviews, in the transaction that deletes what they are about."""
    ids = select(ReviewRow.id).where(is_meant)
    connection.execute(delete(Review).where(Review.row_id.in_(ids)))
    connection.execute(delete(ReviewRow).where(is_meant))


def _draw(
    connection: Connection,
    submission_id: int,
    num_rows: int,
    is_control: bool,
    order: tuple[ColumnElement[Any], ...],
) -> int:
    newest = select(func.max(Summary.id)).where(Summary.job_id == SubmissionJob.job_id).correlate(SubmissionJob)
    is_drawn = exists().where(ReviewRow.submission_id == submission_id, ReviewRow.job_id == SubmissionJob.job_id)
    # A text that occurs twice in the submission is one job, and one row.
    chosen = (
        select(
            literal(submission_id),
            Summary.job_id,
            Summary.adapter_digest,
            Summary.text,
            literal(is_control),
            now(),
        )
        .select_from(SubmissionJob)
        .join(Job, and_(Job.id == SubmissionJob.job_id, Job.state == JobState.DONE))
        .join(Summary, Summary.id == newest.scalar_subquery())
        .where(SubmissionJob.submission_id == submission_id, ~is_drawn)
        .order_by(*order, Summary.id)
        .limit(num_rows)
    )
    columns = ["submission_id", "job_id", "adapter_digest", "summary", "is_control", "created_at"]
    statement = insert(connection, ReviewRow).from_select(columns, chosen).on_conflict_do_nothing()
    return connection.execute(statement, execution_options={"preserve_rowcount": True}).rowcount


def _rows() -> Select[int, int, int, str, str, str]:
    return select(
        ReviewRow.id, ReviewRow.submission_id, ReviewRow.job_id, ReviewRow.adapter_digest, ReviewRow.summary, Job.text
    ).join(Job, Job.id == ReviewRow.job_id)


def is_summary_of_row() -> ColumnElement[bool]:
    """The summary that was drawn, if no redo has replaced it."""
    return and_(
        Summary.job_id == ReviewRow.job_id,
        Summary.adapter_digest == ReviewRow.adapter_digest,
        Summary.text == ReviewRow.summary,
    )
