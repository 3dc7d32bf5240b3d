"""Accounts and results of submissions. Only reads."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import Engine, Row, ScalarSelect, Select, and_, case, func, select

from aftercall.database import reading, streaming
from aftercall.errors import NotFoundError
from aftercall.ledger import tally
from aftercall.ledger.tally import Tally
from aftercall.ledger.work import SummaryRecord
from aftercall.models import Job, JobState, Priority, Submission, SubmissionJob, Summary


@dataclass(frozen=True, slots=True)
class Account:
    """How many conversations were submitted, and how many are in each state. Every conversation is in one of them."""

    submitted: int
    waiting: int
    running: int
    done: int
    failed: int
    cancelled: int
    insufficient: int

    @property
    def open(self) -> int:
        """Conversations that wait or run."""
        return self.waiting + self.running

    @property
    def finished(self) -> int:
        """Conversations in a final state."""
        return self.done + self.failed + self.cancelled + self.insufficient

    @property
    def is_balanced(self) -> bool:
        """Whether every submitted conversation is in exactly one state."""
        return self.submitted == self.open + self.finished


#: The account of a submission without conversations.
EMPTY = Account(0, 0, 0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class SubmissionRecord:
    """A submission in the ledger."""

    id: int
    name: str
    num_rejected: int
    #: Seconds since the epoch.
    created_at: float
    is_read: bool
    is_cancelled: bool
    priority: Priority = Priority.NORMAL


@dataclass(frozen=True, slots=True)
class Result:
    """One conversation of a submission and what became of it."""

    external_id: str
    state: str
    error_code: str | None
    error: str | None
    #: The newest summary, with its provenance; None unless the job is done.
    summary: SummaryRecord | None
    #: When it was done, failed or cancelled, in seconds since the epoch; None while it is open.
    finished_at: float | None = None


def submissions(engine: Engine) -> list[SubmissionRecord]:
    """Every submission, oldest first."""
    query = select(Submission).order_by(Submission.id)
    with reading(engine) as connection:
        return [submission_record(row) for row in connection.execute(query)]


def submission(engine: Engine, submission_id: int) -> SubmissionRecord:
    """One submission.

    Raises NotFoundError if it does not exist.
    """
    with reading(engine) as connection:
        row = connection.execute(select(Submission).where(Submission.id == submission_id)).one_or_none()
    if row is None:
        raise NotFoundError(f"there is no submission {submission_id}. `aftercall status` lists all.")
    return submission_record(row)


def submission_record(row: Row[Any]) -> SubmissionRecord:
    """A row of the table `submission`."""
    return SubmissionRecord(
        id=row.id,
        name=row.name,
        num_rejected=row.num_rejected,
        created_at=row.created_at,
        is_read=row.read_at is not None,
        is_cancelled=row.cancelled_at is not None,
        priority=Priority(row.priority),
    )


def account(engine: Engine, submission_id: int) -> Account:
    """The account of one submission, from indexes alone."""
    with reading(engine) as connection:
        tallies, _ = tally.read(connection, [submission_id])
    return make_account(tallies.get(submission_id, Tally()))


def accounts(engine: Engine) -> dict[int, Account]:
    """The account of every submission that has conversations, by its id, from indexes alone.

    A job that two submissions share counts in both.
    """
    with reading(engine) as connection:
        tallies, _ = tally.read(connection)
    return {number: make_account(counted) for number, counted in tallies.items()}


def make_account(counted: Tally) -> Account:
    """What was counted, as an account. A state that does not exist is missing in it, so that it does not add up."""
    return Account(counted.states.total(), *(counted.states[state] for state in _STATES))


def count_to_review(engine: Engine, submission_id: int) -> int:
    """How many of a submission's summaries a person should read; summaries without a verdict count as none."""
    newest = _newest_summary()
    query = (
        select(func.count())
        .select_from(SubmissionJob)
        .join(Job, and_(Job.id == SubmissionJob.job_id, Job.state == JobState.DONE))
        .join(Summary, and_(Summary.job_id == Job.id, Summary.id == newest))
        .where(SubmissionJob.submission_id == submission_id, Summary.needs_review.is_(True))
    )
    with reading(engine) as connection:
        return connection.execute(query).scalar_one()


def add_up(accounts: Collection[Account]) -> Account:
    """The account of several submissions together."""
    return Account(*(sum(getattr(each, field.name) for each in accounts) for field in fields(Account)))


#: In the order of an account's fields.
_STATES = (
    JobState.QUEUED, JobState.RUNNING, JobState.DONE, JobState.FAILED, JobState.CANCELLED, JobState.INSUFFICIENT
)  # fmt: skip


def recount(engine: Engine) -> dict[int, Account]:
    """The same as `accounts`, counted from the rows: every place of a submission, and the state of its job.

    Takes two seconds for a million conversations.
    """
    counts = [func.count(case((Job.state == state, 1))) for state in _STATES]
    # Places are counted, not states, so that a job without a state or a place without a job shows up.
    query = select(SubmissionJob.submission_id, func.count(), *counts).select_from(SubmissionJob).outerjoin(Job)
    with reading(engine) as connection:
        grouped = connection.execute(query.group_by(SubmissionJob.submission_id))
        return {submission_id: Account(*counted) for submission_id, *counted in grouped}


def results(engine: Engine, submission_id: int) -> Iterator[Result]:
    """Every conversation of a submission in the order of its source, streamed."""
    with streaming(engine) as connection:
        for row in connection.execute(_results_query(submission_id)):
            is_done = row.state == JobState.DONE
            summary = SummaryRecord(*row[5:]) if is_done else None
            yield Result(row.external_id, row.state, row.error_code, row.error, summary, row.finished_at)


def _newest_summary() -> ScalarSelect[int]:
    newest = select(func.max(Summary.id)).where(Summary.job_id == SubmissionJob.job_id)
    return newest.correlate(SubmissionJob).scalar_subquery()


def _results_query(submission_id: int) -> Select[Any]:
    newest = _newest_summary()
    summary_columns = [getattr(Summary, field.name) for field in fields(SummaryRecord)]
    return (
        select(SubmissionJob.external_id, Job.state, Job.error_code, Job.error, Job.finished_at, *summary_columns)
        .join(Job, SubmissionJob.job_id == Job.id)
        .outerjoin(Summary, and_(Summary.job_id == Job.id, Summary.id == newest))
        .where(SubmissionJob.submission_id == submission_id)
        .order_by(SubmissionJob.position)
    )
