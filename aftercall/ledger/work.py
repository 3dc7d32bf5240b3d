"""What a worker does to jobs: claim with a lease, extend it, complete, fail or release."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import (
    ColumnElement,
    Engine,
    Update,
    and_,
    case,
    delete,
    exists,
    literal,
    not_,
    null,
    or_,
    select,
    update,
)

from aftercall.database import now, reading
from aftercall.ledger.statements import OPEN, UNINDEXED_STATE, fresh, insert, run
from aftercall.models import Job, JobState, Pause, Summary


@dataclass(frozen=True, slots=True)
class Lease:
    """Who holds jobs, and for how long without a heartbeat."""

    owner: str
    ttl_s: float


@dataclass(frozen=True, slots=True)
class ClaimedJob:
    """A job that the claim gave to this worker."""

    job_id: int
    #: The job's identity. A message that names the job by id must hold this conversation.
    job_key: str
    cleaner_version: str
    #: The adapter that was asked for; empty: the base model alone; None: whichever is served.
    adapter_digest: str | None = None


@dataclass(frozen=True, slots=True)
class SummaryRecord:
    """A summary and its provenance. `models.Summary` explains the fields."""

    job_id: int
    adapter_digest: str
    text: str
    base_model: str
    quantization: str
    compute_dtype: str
    prompt_version: str
    cleaner_version: str
    generation: str
    num_prompt_tokens: int
    num_completion_tokens: int
    finish_reason: str
    coverage: float
    duration_s: float
    worker: str
    needs_review: bool | None = None
    reasons: str | None = None
    risk: float | None = None
    evidence: str | None = None
    issue: str | None = None
    action: str | None = None
    follow_up: str | None = None
    resolution: str | None = None
    resolution_p: float | None = None
    reason: str | None = None
    reason_p: float | None = None
    profile: str | None = None


@dataclass(frozen=True, slots=True)
class JobFailure:
    """Why a job's attempt failed."""

    job_id: int
    code: str
    reason: str
    #: Whether another attempt would fail too, as for a prompt that does not fit.
    is_final: bool = False


def has_last_try(engine: Engine, job_ids: Sequence[int], max_attempts: int) -> bool:
    """Whether one of these jobs is free, was tried before and has one attempt left."""
    last = select(Job.id).where(_free(job_ids, max_attempts), _is_last_try(max_attempts))
    with reading(engine) as connection:
        return connection.execute(last.limit(1)).first() is not None


def claim(
    engine: Engine, job_ids: Sequence[int], lease: Lease, max_attempts: int, has_company: bool = False
) -> list[ClaimedJob]:
    """Claim those of the jobs that are free: not done, not cancelled, not held by another worker. None while paused.

    With `has_company`, other jobs are in the engine. A job with one attempt left is then not claimed.
    """
    free = select(Job.id).where(_free(job_ids, max_attempts)).order_by(Job.id).with_for_update(skip_locked=True)
    if has_company:
        free = free.where(not_(_is_last_try(max_attempts)))
    statement = (
        update(Job)
        .where(Job.id.in_(free))
        .values(
            state=JobState.RUNNING,
            attempts=Job.attempts + 1,
            lease_owner=lease.owner,
            visible_at=now() + lease.ttl_s,
        )
        .returning(Job.id, Job.job_key, Job.cleaner_version, Job.adapter_digest)
    )
    with engine.begin() as connection:
        return [ClaimedJob(*row) for row in connection.execute(statement)]


def heartbeat(engine: Engine, job_ids: Sequence[int], lease: Lease) -> int:
    """Extend the leases of jobs that are still held. Returns how many."""
    return run(engine, _held(job_ids, lease.owner).values(visible_at=now() + lease.ttl_s))


def complete(engine: Engine, summaries: Sequence[SummaryRecord]) -> None:
    """Write summaries and states in one transaction. A second summary for a job and adapter is dropped.

    Works also after the lease expired or the job was cancelled: finished work is kept. When a job is done again by the
    same adapter, its new summary replaces the old one.
    """
    if not summaries:
        return
    job_ids = [summary.job_id for summary in summaries]
    # The ids are in the outer statement too: without statistics a planner would read the whole table.
    outdated = delete(Summary).where(
        Summary.job_id.in_(job_ids),
        Summary.adapter_digest.in_({summary.adapter_digest for summary in summaries}),
        exists().where(Job.id == Summary.job_id, UNINDEXED_STATE != JobState.DONE),
    )
    finished = (
        update(Job)
        .where(Job.id.in_(job_ids), UNINDEXED_STATE != JobState.DONE)
        .values(state=JobState.DONE, lease_owner=None, error_code=None, error=None, finished_at=now())
    )
    rows = [asdict(summary) for summary in summaries]
    with engine.begin() as connection:
        new = insert(connection, Summary).values(created_at=now()).on_conflict_do_nothing()
        # A summary rarely exists already. Looking for it first would cost every chunk a statement: 7% of the rate.
        if connection.execute(new, rows, execution_options={"preserve_rowcount": True}).rowcount < len(rows):
            connection.execute(outdated)
            connection.execute(new, rows)
        connection.execute(finished)


def find_own(engine: Engine, keys: Mapping[int, str]) -> set[int]:
    """Which of these jobs have the given keys. A ledger from a backup may have other conversations under these ids."""
    with reading(engine) as connection:
        found = connection.execute(select(Job.id, Job.job_key).where(Job.id.in_(keys)))
        return {job_id for job_id, job_key in found if keys[job_id] == job_key}


def find_stored(engine: Engine, job_ids: Collection[int]) -> set[tuple[int, str]]:
    """The job and adapter of each summary of these jobs."""
    with reading(engine) as connection:
        stored = connection.execute(select(Summary.job_id, Summary.adapter_digest).where(Summary.job_id.in_(job_ids)))
        return {(job_id, adapter_digest) for job_id, adapter_digest in stored}


def fail(engine: Engine, failure: JobFailure, owner: str, max_attempts: int, retry_delay_s: float) -> None:
    """End an attempt without a result: queue the job again after a backoff, or fail it for good, with the reason."""
    is_last = or_(literal(failure.is_final), Job.attempts >= max_attempts)
    statement = _held([failure.job_id], owner).values(
        state=case((is_last, JobState.FAILED.value), else_=JobState.QUEUED.value),
        finished_at=case((is_last, now()), else_=null()),
        visible_at=now() + retry_delay_s * Job.attempts,
        sent_at=None,
        lease_owner=None,
        error_code=failure.code,
        error=failure.reason,
    )
    run(engine, statement)


def release(engine: Engine, job_ids: Sequence[int], owner: str) -> int:
    """Queue held jobs again because the worker stops. The attempt does not count. Returns how many jobs."""
    return run(engine, _held(job_ids, owner).values(fresh() | {"attempts": Job.attempts - 1}))


def _free(job_ids: Sequence[int], max_attempts: int) -> ColumnElement[bool]:
    is_free = and_(Job.id.in_(job_ids), UNINDEXED_STATE.in_(OPEN), Job.visible_at <= now(), Job.attempts < max_attempts)
    return and_(is_free, ~exists(select(Pause.id)))


def _is_last_try(max_attempts: int) -> ColumnElement[bool]:
    return and_(Job.attempts > 0, Job.attempts == max_attempts - 1)


def _held(job_ids: Sequence[int], owner: str) -> Update:
    return update(Job).where(Job.id.in_(job_ids), UNINDEXED_STATE == JobState.RUNNING, Job.lease_owner == owner)
