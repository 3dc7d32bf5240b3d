"""What the sweep reads and writes: which jobs need a message, which have one, whose lease expired."""

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
    #: Attempts already made.
    attempts: int


def unsent(engine: Engine, max_jobs: int, max_chars: int | None = None) -> list[UnsentJob]:
    """Queued jobs that have no message and may run now, oldest first.

    Args:
        max_chars: for all their texts together. The first job is returned however long it is.
    """
    query = (
        select(Job.id, Job.text, Job.attempts)
        .where(Job.state == JobState.QUEUED, Job.sent_at.is_(None), Job.visible_at <= now())
        .order_by(Job.id)
        .limit(max_jobs)
    )
    found: list[UnsentJob] = []
    num_chars = 0
    with reading(engine) as connection:
        # Streamed: a thousand long conversations are not held in memory to send the first few.
        for job_id, text, attempts in connection.execution_options(yield_per=50).execute(query):
            num_chars += len(text)
            if found and max_chars is not None and num_chars > max_chars:
                break
            found.append(UnsentJob(ChunkJob(job_id, text), attempts))
    return found


def num_sent(engine: Engine) -> int:
    """How many queued jobs have a message, as far as the ledger knows."""
    query = select(func.count()).where(Job.state == JobState.QUEUED, Job.sent_at.is_not(None))
    with reading(engine) as connection:
        return int(connection.execute(query).scalar_one())


def sent_before(engine: Engine, age_s: float) -> list[int]:
    """Queued jobs whose message was sent more than `age_s` seconds ago."""
    query = select(Job.id).where(Job.state == JobState.QUEUED, Job.sent_at < now() - age_s)
    with reading(engine) as connection:
        return list(connection.execute(query).scalars())


def mark_sent(engine: Engine, job_ids: Sequence[int]) -> None:
    """Record that a message was sent for these jobs."""
    run(engine, queued(job_ids).values(sent_at=now()))


def mark_unsent(engine: Engine, job_ids: Sequence[int]) -> int:
    """Record that these jobs have no message; the next sweep sends one. Returns how many were still queued."""
    return run(engine, queued(job_ids).values(sent_at=None))


def expire(engine: Engine, max_attempts: int) -> int:
    """Queue jobs whose lease expired again, or fail them if that was the last attempt. Returns how many."""
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
