"""What the ledger says of a night: accounts, failures, results. Only reads."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import Engine, Row, Select, and_, func, select

from aftercall.database import reading
from aftercall.errors import NotFoundError
from aftercall.ledger.statements import jobs_of
from aftercall.ledger.work import SummaryRecord
from aftercall.models import Job, JobState, Submission, SubmissionJob, Summary


@dataclass(frozen=True, slots=True)
class Account:
    """How many conversations of a submission stand where. Their sum is what was submitted."""

    waiting: int
    running: int
    done: int
    failed: int
    cancelled: int
    insufficient: int

    @property
    def submitted(self) -> int:
        """All conversations of the submission."""
        return self.open + self.finished

    @property
    def open(self) -> int:
        """Those that still have to run."""
        return self.waiting + self.running

    @property
    def finished(self) -> int:
        """Those at rest, whatever became of them."""
        return self.done + self.failed + self.cancelled + self.insufficient


@dataclass(frozen=True, slots=True)
class SubmissionRecord:
    """A submission as the ledger has it."""

    id: int
    name: str
    num_rejected: int
    #: Seconds since the epoch.
    created_at: float
    is_read: bool
    is_cancelled: bool


@dataclass(frozen=True, slots=True)
class FailureCount:
    """How many jobs failed with one code."""

    code: str
    #: One of their reasons.
    example: str
    num_jobs: int


@dataclass(frozen=True, slots=True)
class Result:
    """One conversation of a submission and what became of it."""

    external_id: str
    state: str
    error_code: str | None
    error: str | None
    #: The newest summary, with its provenance; None unless the job is done.
    summary: SummaryRecord | None


def submissions(engine: Engine) -> list[SubmissionRecord]:
    """Every submission, oldest first."""
    query = select(Submission).order_by(Submission.id)
    with reading(engine) as connection:
        return [_record(row) for row in connection.execute(query)]


def submission(engine: Engine, submission_id: int) -> SubmissionRecord:
    """One submission.

    Raises NotFoundError if there is none of this id.
    """
    with reading(engine) as connection:
        row = connection.execute(select(Submission).where(Submission.id == submission_id)).one_or_none()
    if row is None:
        raise NotFoundError(f"there is no submission {submission_id}. `aftercall status` lists those there are.")
    return _record(row)


def _record(row: Row[Any]) -> SubmissionRecord:
    return SubmissionRecord(
        id=row.id,
        name=row.name,
        num_rejected=row.num_rejected,
        created_at=row.created_at,
        is_read=row.read_at is not None,
        is_cancelled=row.cancelled_at is not None,
    )


def account(engine: Engine, submission_id: int) -> Account:
    """The account of one submission, in one query."""
    query = (
        select(Job.state, func.count())
        .join(SubmissionJob, SubmissionJob.job_id == Job.id)
        .where(SubmissionJob.submission_id == submission_id)
        .group_by(Job.state)
    )
    with reading(engine) as connection:
        counts = dict(connection.execute(query).all())
    return Account(
        waiting=counts.get(JobState.QUEUED, 0),
        running=counts.get(JobState.RUNNING, 0),
        done=counts.get(JobState.DONE, 0),
        failed=counts.get(JobState.FAILED, 0),
        cancelled=counts.get(JobState.CANCELLED, 0),
        insufficient=counts.get(JobState.INSUFFICIENT, 0),
    )


def failure_counts(engine: Engine, submission_id: int) -> list[FailureCount]:
    """Why the submission's failed jobs failed, most frequent first."""
    query = (
        select(Job.error_code, func.min(Job.error), func.count())
        .where(Job.id.in_(jobs_of(submission_id)), Job.state == JobState.FAILED)
        .group_by(Job.error_code)
        .order_by(func.count().desc())
    )
    with reading(engine) as connection:
        return [FailureCount(code or "", reason or "", num) for code, reason, num in connection.execute(query)]


def results(engine: Engine, submission_id: int) -> Iterator[Result]:
    """Every conversation of a submission in the order of its source, streamed."""
    with reading(engine) as connection:
        streaming = connection.execution_options(yield_per=1000)
        for row in streaming.execute(_results_query(submission_id)):
            is_done = row.state == JobState.DONE
            summary = SummaryRecord(*row[4:]) if is_done else None
            yield Result(row.external_id, row.state, row.error_code, row.error, summary)


def _results_query(submission_id: int) -> Select[Any]:
    newest = (
        select(func.max(Summary.id)).where(Summary.job_id == SubmissionJob.job_id).correlate(SubmissionJob)
    ).scalar_subquery()
    summary_columns = [getattr(Summary, field.name) for field in fields(SummaryRecord)]
    return (
        select(SubmissionJob.external_id, Job.state, Job.error_code, Job.error, *summary_columns)
        .join(Job, SubmissionJob.job_id == Job.id)
        .outerjoin(Summary, and_(Summary.job_id == Job.id, Summary.id == newest))
        .where(SubmissionJob.submission_id == submission_id)
        .order_by(SubmissionJob.position)
    )
