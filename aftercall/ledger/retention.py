"""Deleting what is kept no longer: a submission's places, the jobs that nobody else holds, their summaries, its row.

In short transactions, each of which leaves a ledger that is whole. Knows no age that is too old: people say it.

Locks are taken in one order, here and in `intake`: the submission, then its jobs by number. Whoever adds a
conversation holds its job until the place is in; whoever deletes asks for places only once it has the job to itself.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Row,
    bindparam,
    case,
    delete,
    exists,
    func,
    not_,
    select,
)
from sqlalchemy.orm import InstrumentedAttribute

from aftercall.database import now, reading
from aftercall.errors import AftercallError
from aftercall.ledger.statements import OPEN
from aftercall.models import Job, Submission, SubmissionJob, Summary

#: Places deleted in one transaction; others wait for it no longer than for a batch that is submitted.
MAX_PLACES = 1_000


class SubmissionOpenError(AftercallError):
    """Submissions were to be deleted while some of their conversations still have to run."""

    def __init__(self, submission_ids: Sequence[int]) -> None:
        commands = ", ".join(f"`aftercall cancel {submission_id}`" for submission_id in submission_ids)
        super().__init__(
            f"submission {', '.join(map(str, submission_ids))} is not deleted: conversations in it wait or run. "
            f"Let them finish, or stop them ({commands}); then purge again."
        )


@dataclass(frozen=True, slots=True)
class Holdings:
    """What submissions hold."""

    #: Conversations that no other submission holds.
    num_conversations: int
    #: Summaries of these.
    num_summaries: int
    #: Conversations that another submission holds too.
    num_shared: int


@dataclass(frozen=True, slots=True)
class Deleted:
    """What one transaction deleted."""

    #: 0: the submission has no more.
    num_places: int = 0
    num_conversations: int = 0
    num_summaries: int = 0


def submitted_before(engine: Engine, age_s: float) -> list[int]:
    """The submissions that were submitted longer ago than `age_s` seconds, oldest first."""
    query = select(Submission.id).where(Submission.created_at < now() - age_s).order_by(Submission.id)
    with reading(engine) as connection:
        return list(connection.execute(query).scalars())


def open_among(engine: Engine, submission_ids: Collection[int]) -> set[int]:
    """Those of the submissions in which a conversation waits or runs."""
    query = (
        select(SubmissionJob.submission_id)
        .join(Job)
        .where(_is_among(SubmissionJob.submission_id, submission_ids), Job.state.in_(OPEN))
        .distinct()
    )
    with reading(engine) as connection:
        return set(connection.execute(query).scalars())


def weigh(engine: Engine, submission_ids: Collection[int]) -> Holdings:
    """What would be deleted with these submissions, and what of theirs would stay."""
    is_theirs = _is_among(SubmissionJob.submission_id, submission_ids)
    held = select(SubmissionJob.job_id).where(is_theirs).distinct().subquery()
    is_shared = exists().where(SubmissionJob.job_id == held.c.job_id, not_(is_theirs)).correlate(held)
    num_held = select(func.count(), func.count(case((is_shared, 1)))).select_from(held)
    summaries_of = select(func.count(Summary.id)).join(held, Summary.job_id == held.c.job_id)
    with reading(engine) as connection:
        num_jobs, num_shared = connection.execute(num_held).one()
        num_summaries = connection.execute(summaries_of.where(not_(is_shared))).scalar_one()
    return Holdings(num_jobs - num_shared, num_summaries, num_shared)


def empty(engine: Engine, submission_id: int, max_places: int = MAX_PLACES) -> Deleted:
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
        unheld = _held_by_nobody(connection, job_ids)
        deleted = connection.execute(delete(Summary).where(Summary.job_id.in_(unheld)))
        connection.execute(delete(Job).where(Job.id.in_(unheld)))
        return Deleted(len(places), len(unheld), deleted.rowcount)


def drop_empty(engine: Engine, submission_ids: Sequence[int]) -> int:
    """Delete those of the submissions that hold nothing any more. Returns how many."""
    holds_nothing = ~exists().where(SubmissionJob.submission_id == Submission.id)
    with engine.begin() as connection:
        _hold_submissions(connection, submission_ids)
        statement = delete(Submission).where(_is_among(Submission.id, submission_ids), holds_nothing)
        return connection.execute(statement).rowcount


def _hold_submissions(connection: Connection, submission_ids: Sequence[int]) -> None:
    """Wait until nobody adds to them, and let nobody add until the end of the transaction."""
    held = select(Submission.id).where(_is_among(Submission.id, submission_ids)).order_by(Submission.id)
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
    """Wait until nobody adds them to a submission or changes them, and let nobody until the end of the transaction."""
    # A statement of its own: on PostgreSQL only the next one sees what was committed while this one waited.
    held = select(Job.state).where(Job.id.in_(job_ids)).order_by(Job.id).with_for_update()
    if any(state in OPEN for state in connection.execute(held).scalars().all()):
        raise SubmissionOpenError([submission_id])


def _delete_places(connection: Connection, submission_id: int, external_ids: Sequence[str]) -> None:
    is_meant = (SubmissionJob.submission_id == submission_id) & SubmissionJob.external_id.in_(external_ids)
    connection.execute(delete(SubmissionJob).where(is_meant))


def _held_by_nobody(connection: Connection, job_ids: Sequence[int]) -> list[int]:
    held = connection.execute(select(SubmissionJob.job_id).where(SubmissionJob.job_id.in_(job_ids))).scalars()
    return sorted(set(job_ids).difference(held))


def _is_among(column: InstrumentedAttribute[int], ids: Collection[int]) -> ColumnElement[bool]:
    # Written into the statement: years of small submissions are more than a statement may have parameters.
    return column.in_(bindparam(None, list(ids), expanding=True, literal_execute=True))
