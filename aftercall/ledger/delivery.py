"""What the sweep asks and notes: which jobs need a message, which have one, whose lease ran out."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine, case, func, null, select, update

from aftercall.database import now, reading
from aftercall.ledger.statements import queued, run
from aftercall.message import ChunkJob
from aftercall.models import Job, JobState


@dataclass(frozen=True, slots=True)
class UnsentJob:
    """A queued job that has no message."""

    job: ChunkJob
    #: Attempts it has behind it.
    attempts: int


def unsent(engine: Engine, max_jobs: int) -> list[UnsentJob]:
    """Queued jobs that have no message and may run now, oldest first."""
    query = (
        select(Job.id, Job.text, Job.attempts)
        .where(Job.state == JobState.QUEUED, Job.sent_at.is_(None), Job.visible_at <= now())
        .order_by(Job.id)
        .limit(max_jobs)
    )
    with reading(engine) as connection:
        return [
            UnsentJob(ChunkJob(job_id, text), attempts)
            for job_id, text, attempts in connection.execute(query)
        ]  # fmt: skip


def num_sent(engine: Engine) -> int:
    """How many queued jobs are thought to have a message."""
    query = select(func.count()).where(Job.state == JobState.QUEUED, Job.sent_at.is_not(None))
    with reading(engine) as connection:
        return int(connection.execute(query).scalar_one())


def sent_before(engine: Engine, age_s: float) -> list[int]:
    """Queued jobs whose message was sent more than `age_s` seconds ago."""
    query = select(Job.id).where(Job.state == JobState.QUEUED, Job.sent_at < now() - age_s)
    with reading(engine) as connection:
        return list(connection.execute(query).scalars())


def mark_sent(engine: Engine, job_ids: Sequence[int]) -> None:
    """Note that a message was sent for these jobs."""
    run(engine, queued(job_ids).values(sent_at=now()))


def mark_unsent(engine: Engine, job_ids: Sequence[int]) -> int:
    """Note that these jobs have no message; the next sweep sends one. Returns how many were still queued."""
    return run(engine, queued(job_ids).values(sent_at=None))


def expire(engine: Engine, max_attempts: int) -> int:
    """Queue again what a silent worker held, or fail it if that was the last attempt. Returns how many jobs."""
    is_last = Job.attempts >= max_attempts
    statement = (
        update(Job)
        .where(Job.state == JobState.RUNNING, Job.visible_at <= now())
        .values(
            state=case((is_last, JobState.FAILED.value), else_=JobState.QUEUED.value),
            finished_at=case((is_last, now()), else_=null()),
            error_code="worker_lost",
            error="its worker died or went silent while it held the conversation",
            sent_at=None,
            lease_owner=None,
        )
    )
    return run(engine, statement)
