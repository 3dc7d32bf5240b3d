"""Deletes submissions: their places, the jobs that no other submission holds, their summaries, and their rows.

Each of the short transactions leaves a consistent ledger.

Locks are taken in one order, here and in `intake`: the submission, then its jobs by id. Adding a conversation locks its
job until the place is inserted. Deleting looks for other places only after it has locked the job.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, Row, case, delete, exists, func, not_, select

from aftercall.database import now, reading
from aftercall.errors import NotReadyError
from aftercall.ledger import reviews
from aftercall.ledger.places import rehome
from aftercall.ledger.statements import BATCH_PLACES, OPEN, is_among
from aftercall.models import Job, ReviewRow, RolloutResult, Submission, SubmissionJob, Summary, Webhook


class SubmissionOpenError(NotReadyError):
    """Submissions were to be deleted whose conversations still wait or run."""

    def __init__(self, submission_ids: Sequence[int]) -> None:
        commands = ", ".join(f"`aftercall cancel {submission_id}`" for submission_id in submission_ids)
        super().__init__(
            f"submission {', '.join(map(str, submission_ids))} is not deleted: conversations in it wait or run. "
            f"Let them finish, or stop them ({commands}); then purge again."
        )


@dataclass(frozen=True, slots=True)
class Holdings:
    """What submissions contain."""

    #: Conversations that no other submission holds.
    num_conversations: int
    #: Summaries of these.
    num_summaries: int
    #: Conversations that another submission also holds.
    num_shared: int


@dataclass(frozen=True, slots=True)
class Deleted:
    """What one transaction deleted."""

    #: 0 if the submission has none left.
    num_places: int = 0
    num_conversations: int = 0
    num_summaries: int = 0


def submitted_before(engine: Engine, age_s: float) -> list[int]:
    """The submissions that are older than `age_s` seconds, oldest first."""
    query = select(Submission.id).where(Submission.created_at < now() - age_s).order_by(Submission.id)
    with reading(engine) as connection:
        return list(connection.execute(query).scalars())


def open_among(engine: Engine, submission_ids: Collection[int]) -> set[int]:
    """Those of the submissions in which a conversation waits or runs."""
    query = (
        select(SubmissionJob.submission_id)
        .join(Job)
        .where(is_among(SubmissionJob.submission_id, submission_ids), Job.state.in_(OPEN))
        .distinct()
    )
    with reading(engine) as connection:
        return set(connection.execute(query).scalars())


def weigh(engine: Engine, submission_ids: Collection[int]) -> Holdings:
    """What would be deleted with these submissions, and how many of their conversations would stay."""
    is_theirs = is_among(SubmissionJob.submission_id, submission_ids)
    held = select(SubmissionJob.job_id).where(is_theirs).distinct().subquery()
    is_shared = exists().where(SubmissionJob.job_id == held.c.job_id, not_(is_theirs)).correlate(held)
    num_held = select(func.count(), func.count(case((is_shared, 1)))).select_from(held)
    summaries_of = select(func.count(Summary.id)).join(held, Summary.job_id == held.c.job_id)
    with reading(engine) as connection:
        num_jobs, num_shared = connection.execute(num_held).one()
        num_summaries = connection.execute(summaries_of.where(not_(is_shared))).scalar_one()
    return Holdings(num_jobs - num_shared, num_summaries, num_shared)


def empty(engine: Engine, submission_id: int, max_places: int = BATCH_PLACES) -> Deleted:
    """Delete up to `max_places` places of a submission and what only they held, in one transaction.

    Raises SubmissionOpenError, and deletes nothing, if one of these conversations is to run (again).
    """
    with engine.begin() as connection:
        _hold_submissions(connection, [submission_id])
        places = _some_places(connection, submission_id, max_places)
        if not places:
            return Deleted()
        job_ids = sorted({place.job_id for place in places})
        _hold_jobs(connection, submission_id, job_ids)
        _delete_places(connection, submission_id, [place.external_id for place in places])
        unheld = _without_place(connection, job_ids)
        connection.execute(delete(RolloutResult).where(RolloutResult.job_id.in_(unheld)))
        rehome(connection, sorted(set(job_ids).difference(unheld)))
        is_theirs = (ReviewRow.submission_id == submission_id) & ReviewRow.job_id.in_(job_ids)
        reviews.delete_rows(connection, is_theirs | ReviewRow.job_id.in_(unheld))
        deleted = connection.execute(delete(Summary).where(Summary.job_id.in_(unheld)))
        connection.execute(delete(Job).where(Job.id.in_(unheld)))
        return Deleted(len(places), len(unheld), deleted.rowcount)


def drop_empty(engine: Engine, submission_ids: Sequence[int]) -> int:
    """Delete the submissions that have no places left. Returns how many."""
    holds_nothing = ~exists().where(SubmissionJob.submission_id == Submission.id)
    with engine.begin() as connection:
        _hold_submissions(connection, submission_ids)
        statement = delete(Submission).where(is_among(Submission.id, submission_ids), holds_nothing)
        num_dropped = connection.execute(statement).rowcount
        is_gone = ~exists().where(Submission.id == Webhook.submission_id)
        connection.execute(delete(Webhook).where(is_among(Webhook.submission_id, submission_ids), is_gone))
        return num_dropped


def _hold_submissions(connection: Connection, submission_ids: Sequence[int]) -> None:
    """Lock submissions against additions until the transaction ends."""
    held = select(Submission.id).where(is_among(Submission.id, submission_ids)).order_by(Submission.id)
    connection.execute(held.with_for_update())


def _some_places(connection: Connection, submission_id: int, max_places: int) -> Sequence[Row[str, int]]:
    query = (
        select(SubmissionJob.external_id, SubmissionJob.job_id)
        .where(SubmissionJob.submission_id == submission_id)
        .order_by(SubmissionJob.external_id)
        .limit(max_places)
    )
    return connection.execute(query).all()


def _hold_jobs(connection: Connection, submission_id: int, job_ids: Sequence[int]) -> None:
    """Lock jobs against changes and additions to submissions until the transaction ends."""
    # A separate statement: on PostgreSQL only the next one sees what was committed while this one waited.
    held = select(Job.state).where(Job.id.in_(job_ids)).order_by(Job.id).with_for_update()
    if any(state in OPEN for state in connection.execute(held).scalars().all()):
        raise SubmissionOpenError([submission_id])


def _delete_places(connection: Connection, submission_id: int, external_ids: Sequence[str]) -> None:
    is_meant = (SubmissionJob.submission_id == submission_id) & SubmissionJob.external_id.in_(external_ids)
    connection.execute(delete(SubmissionJob).where(is_meant))


def _without_place(connection: Connection, job_ids: Sequence[int]) -> list[int]:
    held = connection.execute(select(SubmissionJob.job_id).where(SubmissionJob.job_id.in_(job_ids))).scalars()
    return sorted(set(job_ids).difference(held))
