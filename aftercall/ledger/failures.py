"""Why conversations failed: counted by code, or each with its reason. Only reads."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Engine, and_, func, select, true

from aftercall.database import reading
from aftercall.models import Job, JobState, SubmissionJob


@dataclass(frozen=True, slots=True)
class FailureCount:
    """How many conversations failed with one code."""

    code: str
    #: One of their reasons.
    example: str
    #: As in the account, a text that occurs twice counts twice.
    num_conversations: int


@dataclass(frozen=True, slots=True)
class Failure:
    """A conversation that failed, by the caller's own id."""

    submission_id: int
    external_id: str
    code: str
    reason: str
    attempts: int
    #: Seconds since the epoch.
    failed_at: float


def counts(engine: Engine, submission_id: int | None) -> list[FailureCount]:
    """Failed conversations of a submission, or of all, by code, most frequent first."""
    query = (
        select(Job.error_code, func.min(Job.error), func.count())
        .join(SubmissionJob, SubmissionJob.job_id == Job.id)
        .where(_is_meant(submission_id))
        .group_by(Job.error_code)
        .order_by(func.count().desc(), Job.error_code)
    )
    with reading(engine) as connection:
        return [FailureCount(code or "", example or "", num) for code, example, num in connection.execute(query)]


def each(engine: Engine, submission_id: int | None, code: str | None = None) -> Iterator[Failure]:
    """Every failed conversation in the order of its source, streamed. One in two submissions is yielded twice."""
    columns = (
        SubmissionJob.submission_id,
        SubmissionJob.external_id,
        Job.error_code,
        Job.error,
        Job.attempts,
        Job.finished_at,
    )
    query = (
        select(*columns)
        .join(Job, SubmissionJob.job_id == Job.id)
        .where(_is_meant(submission_id, code))
        .order_by(SubmissionJob.submission_id, SubmissionJob.position)
    )
    with reading(engine) as connection:
        for row in connection.execution_options(yield_per=1000).execute(query):
            yield Failure(row[0], row[1], row[2] or "", row[3] or "", row[4], row[5] or 0.0)


def _is_meant(submission_id: int | None, code: str | None = None) -> ColumnElement[bool]:
    """Failed, and of this submission and with this code if they are given."""
    return and_(
        Job.state == JobState.FAILED,
        true() if submission_id is None else SubmissionJob.submission_id == submission_id,
        true() if code is None else Job.error_code == code,
    )
