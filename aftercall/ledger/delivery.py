"""What the sweep reads and writes: which jobs need a message, which have one, whose lease expired."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine, case, func, null, select, update

from aftercall.database import now, reading
from aftercall.ledger.statements import insert, queued, run
from aftercall.message import ChunkJob
from aftercall.models import Job, JobState, Priority, Progress


@dataclass(frozen=True, slots=True)
class UnsentJob:
    """A queued job that has no message."""

    job: ChunkJob
    #: Attempts already made.
    attempts: int


def unsent(
    engine: Engine, max_jobs: int, max_chars: int | None = None, priority: Priority | None = None
) -> list[UnsentJob]:
    """Queued jobs that have no message and may run now, in the order in which they are to be sent.

    Args:
        priority: only these jobs; None: the most urgent first.
        max_chars: for all their texts together. The first job is returned however long it is.
    """
    query = (
        select(Job.id, Job.text, Job.attempts)
        .where(Job.state == JobState.QUEUED, Job.sent_at.is_(None), Job.visible_at <= now())
        .order_by(Job.priority, Job.turn, Job.submission_id, Job.id)
        .limit(max_jobs)
    )
    if priority is not None:
        query = query.where(Job.priority == priority)
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


def num_sent(engine: Engine) -> Counter[int]:
    """How many queued jobs have a message, as far as the ledger knows, by priority."""
    is_sent = (Job.state == JobState.QUEUED) & Job.sent_at.is_not(None)
    query = select(Job.priority, func.count()).where(is_sent).group_by(Job.priority)
    with reading(engine) as connection:
        return Counter(dict(connection.execute(query).all()))


def sent_before(engine: Engine, age_s: float) -> list[int]:
    """Queued jobs whose message was sent more than `age_s` seconds ago."""
    query = select(Job.id).where(Job.state == JobState.QUEUED, Job.sent_at < now() - age_s)
    with reading(engine) as connection:
        return list(connection.execute(query).scalars())


def mark_sent(engine: Engine, job_ids: Sequence[int]) -> None:
    """Record that a message was sent for these jobs, and how far their priorities have come with it."""
    sent = queued(job_ids).values(sent_at=now()).returning(Job.priority, Job.turn)
    with engine.begin() as connection:
        reached: dict[int, int] = {}
        for priority, turn in connection.execute(sent):
            reached[priority] = max(turn, reached.get(priority, 0))
        for priority, turn in reached.items():
            new = insert(connection, Progress).values(priority=priority, turn=turn)
            is_further = new.excluded.turn > Progress.turn
            furthest = {"turn": new.excluded.turn}
            connection.execute(new.on_conflict_do_update(index_elements=["priority"], set_=furthest, where=is_further))


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
