"""What must hold in every ledger at every moment, as queries that find violations. Only reads.

Each reads whole tables: about a second per query at a million jobs. The schema's constraints prevent most violations.
The queries are for the time after a restore, a repair by hand, or a disk that lost writes.
"""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Engine, Select, exists, func, not_, select

from aftercall.database import now, reading
from aftercall.models import Base, Job, JobState, SubmissionJob, Summary

#: Fewer than the parameters that a statement may have.
_BATCH = 10_000


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that some rows violate."""

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
    """The violated promises; none in a sound ledger."""
    with reading(engine) as connection:
        counted = {what: connection.execute(query).scalar_one() for what, query in _QUERIES.items()}
    return [Violation(what, num_rows) for what, num_rows in counted.items() if num_rows]


def num_expired(engine: Engine, grace_s: float) -> int:
    """How many running jobs have a lease that expired more than `grace_s` seconds ago."""
    query = select(func.count()).where(Job.state == JobState.RUNNING, Job.visible_at <= now() - grace_s)
    with reading(engine) as connection:
        return int(connection.execute(query).scalar_one())


def _count(table: type[Base], *conditions: ColumnElement[bool]) -> Select[int]:
    return select(func.count()).select_from(table).where(*conditions)


_has_summary = exists().where(Summary.job_id == Job.id)
_twice = select(Summary.job_id).group_by(Summary.job_id, Summary.adapter_digest).having(func.count() > 1).subquery()
_is_held = Job.state == JobState.RUNNING
_has_place = exists().where(SubmissionJob.job_id == Job.id)
_has_home = exists().where(
    SubmissionJob.job_id == Job.id, SubmissionJob.submission_id == Job.submission_id, not_(SubmissionJob.is_guest)
)
_home_twice = (
    select(SubmissionJob.job_id).where(not_(SubmissionJob.is_guest)).group_by(SubmissionJob.job_id)
    .having(func.count() > 1).subquery()
)  # fmt: skip

_QUERIES: dict[str, Select[int]] = {
    "jobs in no known state": _count(Job, Job.state.not_in(list(JobState))),
    "jobs that are done and have no summary": _count(Job, Job.state == JobState.DONE, ~_has_summary),
    "jobs with nothing to summarize that have a summary": _count(Job, Job.state == JobState.INSUFFICIENT, _has_summary),
    "summaries without a job": _count(Summary, ~exists().where(Job.id == Summary.job_id)),
    "jobs with two summaries of one adapter": select(func.count()).select_from(_twice),
    "jobs of no submission": _count(Job, ~_has_place),
    "places in a submission without a job": _count(SubmissionJob, ~exists().where(Job.id == SubmissionJob.job_id)),
    "jobs that no account counts": _count(Job, _has_place, ~_has_home),
    "jobs that accounts count twice": select(func.count()).select_from(_home_twice),
    "running jobs without a lease owner": _count(Job, _is_held, Job.lease_owner.is_(None)),
    "jobs with a lease owner that are not running": _count(Job, ~_is_held, Job.lease_owner.is_not(None)),
}

NUM_PROMISES = len(_QUERIES)
