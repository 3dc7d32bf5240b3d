"""Keeps the home of each job right: the one place from which accounts count it."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, Engine, ScalarSelect, and_, exists, not_, or_, select, tuple_, update
from sqlalchemy.orm import aliased

from aftercall.database import reading
from aftercall.ledger.statements import BATCH_PLACES
from aftercall.models import Job, SubmissionJob

_other = aliased(SubmissionJob)


def rehome(connection: Connection, job_ids: Sequence[int]) -> None:
    """Make the first place of each of these jobs its home, unless it has one. The caller has locked the jobs."""
    if not job_ids:
        return
    is_first = ~exists().where(_other.job_id == SubmissionJob.job_id, or_(not_(_other.is_guest), _is_before()))
    first = update(SubmissionJob).where(SubmissionJob.job_id.in_(job_ids), SubmissionJob.is_guest, is_first)
    connection.execute(first.values(is_guest=False))
    _set_home(connection, job_ids)


def repair(engine: Engine) -> int:
    """Make the first place of every job its home and all others guests. Returns how many jobs had another home.

    In short transactions. For a ledger that was changed by hand.
    """
    num_repaired = 0
    last = 0
    while job_ids := _jobs_after(engine, last):
        with engine.begin() as connection:
            connection.execute(select(Job.id).where(Job.id.in_(job_ids)).order_by(Job.id).with_for_update())
            is_guest = exists().where(_other.job_id == SubmissionJob.job_id, _is_before())
            wrong = update(SubmissionJob).where(SubmissionJob.job_id.in_(job_ids), SubmissionJob.is_guest != is_guest)
            changed = set(connection.execute(wrong.values(is_guest=is_guest).returning(SubmissionJob.job_id)).scalars())
            num_repaired += len(changed | _set_home(connection, job_ids))
        last = job_ids[-1]
    return num_repaired


def _jobs_after(engine: Engine, job_id: int) -> list[int]:
    with reading(engine) as connection:
        query = select(Job.id).where(Job.id > job_id).order_by(Job.id).limit(BATCH_PLACES)
        return list(connection.execute(query).scalars())


def _is_before() -> ColumnElement[bool]:
    """Whether the other place comes before this one."""
    this = tuple_(SubmissionJob.submission_id, SubmissionJob.external_id)
    return tuple_(_other.submission_id, _other.external_id) < this


def _set_home(connection: Connection, job_ids: Sequence[int]) -> set[int]:
    """Write down where the home places of these jobs are; returns the jobs of which that was not known."""
    home = home_of_job()
    moved = update(Job).where(Job.id.in_(job_ids), Job.submission_id != home).values(submission_id=home)
    return set(connection.execute(moved.returning(Job.id)).scalars())


def home_of_job() -> ScalarSelect[int]:
    """The submission with the home place of a job, as part of a statement on jobs."""
    is_home = and_(SubmissionJob.job_id == Job.id, not_(SubmissionJob.is_guest))
    return select(SubmissionJob.submission_id).where(is_home).correlate(Job).scalar_subquery()
