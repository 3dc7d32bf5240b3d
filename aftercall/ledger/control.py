"""What people do to jobs: cancel a submission, queue again what rests."""

from collections.abc import Collection

from sqlalchemy import Engine, select, update

from aftercall.database import now
from aftercall.ledger.statements import ACTIVE, fresh, jobs_of, update_submission
from aftercall.models import Job, JobState, Submission, SubmissionJob


def cancel(engine: Engine, submission_id: int) -> int:
    """Cancel what of a submission is not finished and no other submission wants too. Returns how many jobs."""
    wanted_elsewhere = (
        select(SubmissionJob.job_id)
        .join(Submission)
        .where(Submission.id != submission_id, Submission.cancelled_at.is_(None))
    )
    statement = (
        update(Job)
        .where(Job.id.in_(jobs_of(submission_id)), Job.id.not_in(wanted_elsewhere), Job.state.in_(ACTIVE))
        .values(state=JobState.CANCELLED, lease_owner=None, finished_at=now())
    )
    with engine.begin() as connection:
        connection.execute(update_submission(submission_id).values(cancelled_at=now()))
        return connection.execute(statement).rowcount


def requeue(engine: Engine, submission_id: int, states: Collection[JobState]) -> int:
    """Queue again what of a submission rests in `states` (failed, cancelled), its attempts forgotten.

    Returns how many jobs.
    """
    statement = (
        update(Job)
        .where(Job.id.in_(jobs_of(submission_id)), Job.state.in_(states))
        .values(fresh() | {"attempts": 0})
    )  # fmt: skip
    with engine.begin() as connection:
        if JobState.CANCELLED in states:
            connection.execute(update_submission(submission_id).values(cancelled_at=None))
        return connection.execute(statement).rowcount
