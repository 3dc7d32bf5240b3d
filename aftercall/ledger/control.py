"""What people do to jobs: cancel a submission, queue again what rests or what an old adapter wrote."""

from collections.abc import Collection

from sqlalchemy import Engine, Select, case, exists, func, select, true, update

from aftercall.database import now, reading
from aftercall.ledger.statements import OPEN, fresh, jobs_of, run, update_submission
from aftercall.models import Job, JobState, Submission, SubmissionJob, Summary


def cancel(engine: Engine, submission_id: int) -> int:
    """Cancel what of a submission is not finished and no other submission wants too. Returns how many jobs.

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
        connection.execute(mark)
        return connection.execute(statement).rowcount


def requeue(engine: Engine, submission_id: int, states: Collection[JobState], code: str | None = None) -> int:
    """Queue again what of a submission rests in `states` (failed, cancelled), its attempts forgotten.

    With a code, only what failed with it. Returns how many jobs.
    """
    is_meant = true() if code is None else Job.error_code == code
    statement = (
        update(Job)
        .where(Job.id.in_(jobs_of(submission_id)), Job.state.in_(states), is_meant)
        .values(fresh() | {"attempts": 0})
    )
    with engine.begin() as connection:
        if JobState.CANCELLED in states:
            connection.execute(update_submission(submission_id).values(cancelled_at=None))
        return connection.execute(statement).rowcount


def count_written_by(engine: Engine, adapter_digest: str) -> int:
    """How many jobs' newest summary was written with an adapter."""
    query = select(func.count()).where(Job.id.in_(_written_by(adapter_digest)), Job.state == JobState.DONE)
    with reading(engine) as connection:
        return int(connection.execute(query).scalar_one())


def redo(engine: Engine, adapter_digest: str) -> int:
    """Queue again the jobs whose newest summary was written with an adapter.

    That summary is kept beside the new one, unless the same adapter writes that. Returns how many jobs.
    """
    is_theirs = Job.id.in_(_written_by(adapter_digest)) & (Job.state == JobState.DONE)
    return run(engine, update(Job).where(is_theirs).values(fresh() | {"attempts": 0}))


def _written_by(adapter_digest: str) -> Select[int]:
    newest = select(func.max(Summary.id)).group_by(Summary.job_id)
    return select(Summary.job_id).where(Summary.id.in_(newest), Summary.adapter_digest == adapter_digest)
