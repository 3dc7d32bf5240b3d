"""What must hold in every ledger at every moment, as queries that find what breaks it. Only reads.

Each reads whole tables: about a second each at a million jobs. Most cannot be broken while the constraints of the
schema hold; that is what makes them worth asking after a restore, a repair by hand, or a disk that lied.
"""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Engine, Select, exists, func, select

from aftercall.database import now, reading
from aftercall.models import Base, Job, JobState, SubmissionJob, Summary

#: Well under the number of parameters that a statement may have.
_BATCH = 10_000


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that some rows break."""

    #: What is wrong with them, to follow "3 ".
    what: str
    num_rows: int


def num_known(engine: Engine, job_ids: Collection[int]) -> int:
    """How many of these jobs the ledger has."""
    ids = sorted(job_ids)
    with reading(engine) as connection:
        return sum(
            connection.execute(_count(Job, Job.id.in_(ids[start : start + _BATCH]))).scalar_one()
            for start in range(0, len(ids), _BATCH)
        )


def violations(engine: Engine) -> list[Violation]:
    """Which promises are broken; none in a ledger that is whole."""
    with reading(engine) as connection:
        counted = {what: connection.execute(query).scalar_one() for what, query in _QUERIES.items()}
    return [Violation(what, num_rows) for what, num_rows in counted.items() if num_rows]


def num_expired(engine: Engine, grace_s: float) -> int:
    """How many jobs are held on a lease that ran out more than `grace_s` seconds ago."""
    query = select(func.count()).where(Job.state == JobState.RUNNING, Job.visible_at <= now() - grace_s)
    with reading(engine) as connection:
        return int(connection.execute(query).scalar_one())


def _count(table: type[Base], *conditions: ColumnElement[bool]) -> Select[int]:
    return select(func.count()).select_from(table).where(*conditions)


_has_summary = exists().where(Summary.job_id == Job.id)
_twice = select(Summary.job_id).group_by(Summary.job_id, Summary.adapter_digest).having(func.count() > 1).subquery()
_is_held = Job.state == JobState.RUNNING

_QUERIES: dict[str, Select[int]] = {
    "jobs in no known state": _count(Job, Job.state.not_in(list(JobState))),
    "jobs that are done and have no summary": _count(Job, Job.state == JobState.DONE, ~_has_summary),
    "jobs with nothing to summarize that have a summary": _count(Job, Job.state == JobState.INSUFFICIENT, _has_summary),
    "summaries without a job": _count(Summary, ~exists().where(Job.id == Summary.job_id)),
    "jobs with two summaries of one adapter": select(func.count()).select_from(_twice),
    "jobs of no submission": _count(Job, ~exists().where(SubmissionJob.job_id == Job.id)),
    "places in a submission without a job": _count(SubmissionJob, ~exists().where(Job.id == SubmissionJob.job_id)),
    "jobs that run in nobody's name": _count(Job, _is_held, Job.lease_owner.is_(None)),
    "jobs at rest that somebody holds": _count(Job, ~_is_held, Job.lease_owner.is_not(None)),
}

NUM_PROMISES = len(_QUERIES)
