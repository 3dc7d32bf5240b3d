"""What people do to jobs: cancel a submission, queue again what rests or what an old adapter wrote."""

from collections.abc import Collection

from sqlalchemy import ColumnElement, Connection, Engine, Update, case, exists, func, select, text, update

from aftercall.database import now, reading
from aftercall.ledger.statements import OPEN, fresh, jobs_of, update_submission
from aftercall.models import Job, JobState, Submission, SubmissionJob, Summary


def cancel(engine: Engine, submission_id: int) -> int:
    """Cancel what of a submission is not finished and no other submission wants too. Returns how many conversations.

    What was done before and only waited to be done again is done as before. A submission whose source is read and in
    which nothing is open has ended, and is not marked as cancelled.
    """
    wanted_elsewhere = (
        select(SubmissionJob.job_id)
        .join(Submission)
        .where(Submission.id != submission_id, Submission.cancelled_at.is_(None))
    )
    was_done = exists().where(Summary.job_id == Job.id)
    statement = (
        update(Job)
        .where(Job.id.in_(jobs_of(submission_id)), Job.id.not_in(wanted_elsewhere), Job.state.in_(OPEN))
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
    """Queue again what rests in `states` (failed, cancelled) in a submission or in all, its attempts forgotten.

    With a code, only what failed with it. Returns how many conversations.
    """
    rests: list[ColumnElement[bool]] = [Job.state.in_(states)]
    marked = update(Submission)
    if code is not None:
        rests.append(Job.error_code == code)
    if submission_id is not None:
        rests.append(Job.id.in_(jobs_of(submission_id)))
        marked = update_submission(submission_id)
    with engine.begin() as connection:
        if JobState.CANCELLED in states:
            connection.execute(marked.values(cancelled_at=None))
        return _change(connection, update(Job).where(*rests).values(fresh() | {"attempts": 0}), submission_id)


def count_written_by(engine: Engine, adapter_digest: str) -> int:
    """How many conversations' newest summary was written with an adapter."""
    query = select(func.count()).select_from(SubmissionJob).join(Job).where(_is_written_by(adapter_digest))
    with reading(engine) as connection:
        return int(connection.execute(query).scalar_one())


def redo(engine: Engine, adapter_digest: str) -> int:
    """Queue again the conversations whose newest summary was written with an adapter. Returns how many.

    That summary is kept beside the new one, unless the same adapter writes that.
    """
    statement = update(Job).where(_is_written_by(adapter_digest)).values(fresh() | {"attempts": 0})
    with engine.begin() as connection:
        return _change(connection, statement, None)


def _is_written_by(adapter_digest: str) -> ColumnElement[bool]:
    newest = select(func.max(Summary.id)).group_by(Summary.job_id)
    theirs = select(Summary.job_id).where(Summary.id.in_(newest), Summary.adapter_digest == adapter_digest)
    return Job.id.in_(theirs) & (Job.state == JobState.DONE)


def _hold_all_submissions(connection: Connection) -> None:
    """Wait until nobody adds to a submission or cancels one, and let nobody until the end of the transaction."""
    # Who else wants a conversation is asked once, and must be known by then. SQLite lets in one writer at a time.
    if connection.dialect.name == "postgresql":
        connection.execute(text("LOCK TABLE submission IN EXCLUSIVE MODE"))


def _change(connection: Connection, statement: Update, submission_id: int | None) -> int:
    """Change jobs. Returns how many conversations that is, of a submission or of all.

    As in the account, a text that stands twice counts twice.
    """
    places = select(func.count()).where(SubmissionJob.job_id == Job.id)
    if submission_id is not None:
        # Wrapped, so that each job looks up its own places and no planner reads all of the submission's for it.
        places = places.where(func.coalesce(SubmissionJob.submission_id, 0) == submission_id)
    return sum(connection.execute(statement.returning(places.scalar_subquery())).scalars())
