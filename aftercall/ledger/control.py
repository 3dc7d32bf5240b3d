"""What people do to jobs: cancel a submission, queue failed, cancelled or finished jobs again."""

from collections.abc import Collection

from sqlalchemy import ColumnElement, Connection, Engine, Update, case, exists, func, select, text, update

from aftercall.database import now, reading
from aftercall.ledger.statements import OPEN, fresh, jobs_of, update_submission
from aftercall.models import Job, JobState, Submission, SubmissionJob, Summary


def cancel(engine: Engine, submission_id: int) -> int:
    """Cancel the open conversations of a submission that no other submission also wants. Returns how many.

    A job that has a summary and was queued to be done again becomes done again. A submission whose source was read and
    that has nothing open is finished; it is not marked as cancelled.
    """
    # NOT EXISTS looks up each job's other places. PostgreSQL turns NOT IN into a list, and once the list outgrows its
    # memory, it is scanned for every job: with 600,000 places, minutes while the lock below is held.
    is_wanted_elsewhere = exists().where(
        SubmissionJob.job_id == Job.id,
        SubmissionJob.submission_id == Submission.id,
        Submission.id != submission_id,
        Submission.cancelled_at.is_(None),
    )
    was_done = exists().where(Summary.job_id == Job.id)
    statement = (
        update(Job)
        .where(Job.id.in_(jobs_of(submission_id)), ~is_wanted_elsewhere, Job.state.in_(OPEN))
        .values(
            state=case((was_done, JobState.DONE.value), else_=JobState.CANCELLED.value),
            lease_owner=None,
            finished_at=now(),
        )
    )
    has_open = exists().where(Job.id.in_(jobs_of(submission_id)), Job.state.in_(OPEN))
    mark = update_submission(submission_id).where(Submission.read_at.is_(None) | has_open).values(cancelled_at=now())
    with engine.begin() as connection:
        _hold_all_submissions(connection)
        connection.execute(mark)
        return _change(connection, statement, submission_id)


def requeue(engine: Engine, submission_id: int | None, states: Collection[JobState], code: str | None = None) -> int:
    """Queue the jobs in `states` (failed, cancelled) of a submission, or of all, with all their attempts again.

    With a code, only what failed with that code. Returns how many conversations.
    """
    conditions: list[ColumnElement[bool]] = [Job.state.in_(states)]
    marked = update(Submission)
    if code is not None:
        conditions.append(Job.error_code == code)
    if submission_id is not None:
        conditions.append(Job.id.in_(jobs_of(submission_id)))
        marked = update_submission(submission_id)
    with engine.begin() as connection:
        if JobState.CANCELLED in states:
            connection.execute(marked.values(cancelled_at=None))
        return _change(connection, update(Job).where(*conditions).values(fresh() | {"attempts": 0}), submission_id)


def count_written_by(engine: Engine, adapter_digest: str) -> int:
    """How many conversations' newest summary was written with an adapter."""
    query = select(func.count()).select_from(SubmissionJob).join(Job).where(_is_written_by(adapter_digest))
    with reading(engine) as connection:
        return int(connection.execute(query).scalar_one())


def redo(engine: Engine, adapter_digest: str) -> int:
    """Queue the conversations whose newest summary was written with an adapter again. Returns how many.

    That summary is kept in addition to the new one, unless the same adapter writes both.
    """
    statement = update(Job).where(_is_written_by(adapter_digest)).values(fresh() | {"attempts": 0})
    with engine.begin() as connection:
        return _change(connection, statement, None)


def _is_written_by(adapter_digest: str) -> ColumnElement[bool]:
    newest = select(func.max(Summary.id)).group_by(Summary.job_id)
    theirs = select(Summary.job_id).where(Summary.id.in_(newest), Summary.adapter_digest == adapter_digest)
    return Job.id.in_(theirs) & (Job.state == JobState.DONE)


def _hold_all_submissions(connection: Connection) -> None:
    """Lock all submissions against additions and cancellations until the transaction ends."""
    # Another submission must not come to want a conversation after that was checked. SQLite has one writer at a time.
    if connection.dialect.name == "postgresql":
        connection.execute(text("LOCK TABLE submission IN EXCLUSIVE MODE"))


def _change(connection: Connection, statement: Update, submission_id: int | None) -> int:
    """Change jobs. Returns how many conversations that is, of a submission or of all.

    As in the account, a text that occurs twice counts twice.
    """
    places = select(func.count()).where(SubmissionJob.job_id == Job.id)
    if submission_id is not None:
        # Wrapped, so that each job looks up its own places and no planner reads all of the submission's for it.
        places = places.where(func.coalesce(SubmissionJob.submission_id, 0) == submission_id)
    return sum(connection.execute(statement.returning(places.scalar_subquery())).scalars())
