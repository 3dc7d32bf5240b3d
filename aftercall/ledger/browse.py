"""Rows for people to look at, a page at a time. Each page begins after a key, so the last costs as much as the first.

Only reads.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

from sqlalchemy import Engine, Select, and_, func, select

from aftercall.database import reading
from aftercall.errors import NotFoundError
from aftercall.ledger.account import SubmissionRecord, submission_record
from aftercall.ledger.statements import is_among
from aftercall.ledger.work import SummaryRecord
from aftercall.models import Adapter, Job, JobState, Promotion, Submission, SubmissionJob, Summary


@dataclass(frozen=True, slots=True)
class Place:
    """A conversation of a submission, for a list."""

    submission_id: int
    external_id: str
    job_id: int
    state: str
    error_code: str | None
    error: str | None
    #: The newest summary; None if there is none.
    summary: str | None
    needs_review: bool | None


@dataclass(frozen=True, slots=True)
class WrittenSummary:
    """A summary, and when it was written, in seconds since the epoch."""

    record: SummaryRecord
    at: float


@dataclass(frozen=True, slots=True)
class Conversation:
    """Everything that the ledger holds about one conversation. Times are seconds since the epoch."""

    submission_id: int
    external_id: str
    job_id: int
    #: `user: …` and `agent: …` lines.
    text: str
    state: str
    attempts: int
    error_code: str | None
    error: str | None
    created_at: float
    finished_at: float | None
    #: Newest first.
    summaries: tuple[WrittenSummary, ...]
    #: Other submissions and ids that hold the same text, at most ten.
    elsewhere: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class RegisteredAdapter:
    """An adapter in the registry. Times are seconds since the epoch."""

    digest: str
    base_model: str
    state: str
    created_at: float
    promoted_at: float | None


@dataclass(frozen=True, slots=True)
class AdapterChange:
    """A change of the active adapter. None: the shipped one, or the base model alone."""

    id: int
    base_model: str
    action: str
    adapter_digest: str | None
    replaced_digest: str | None
    is_forced: bool
    at: float


#: Other places of a conversation that are shown.
_MAX_ELSEWHERE = 10

#: Submissions that are searched in one query.
_NUM_AT_ONCE = 500


def newest_submissions(engine: Engine, before: int | None, max_rows: int) -> list[SubmissionRecord]:
    """Submissions with a smaller number than `before`, newest first."""
    query = select(Submission).order_by(Submission.id.desc()).limit(max_rows)
    if before is not None:
        query = query.where(Submission.id < before)
    with reading(engine) as connection:
        return [submission_record(row) for row in connection.execute(query)]


def places(engine: Engine, submission_id: int, after: str | None, max_rows: int) -> list[Place]:
    """Conversations of a submission in the order of the caller's ids, from the one after `after`."""
    query = _places().where(SubmissionJob.submission_id == submission_id).order_by(SubmissionJob.external_id)
    if after is not None:
        query = query.where(SubmissionJob.external_id > after)
    with reading(engine) as connection:
        return [Place(*row) for row in connection.execute(query.limit(max_rows))]


def find_id(engine: Engine, external_id: str, before: int | None, max_rows: int) -> list[Place]:
    """Where a caller's id stands, in the newest submission first; only in submissions before `before`."""
    numbers = select(Submission.id).order_by(Submission.id.desc())
    if before is not None:
        numbers = numbers.where(Submission.id < before)
    found: list[Place] = []
    with reading(engine) as connection:
        ids = connection.execute(numbers).scalars().all()
        for start in range(0, len(ids), _NUM_AT_ONCE):
            # With the submissions the primary key finds a place. Literals: no planner then prefers to read all places.
            is_among_these = is_among(SubmissionJob.submission_id, ids[start : start + _NUM_AT_ONCE])
            is_meant = is_among_these & (SubmissionJob.external_id == external_id)
            query = _places().where(is_meant).order_by(SubmissionJob.submission_id.desc()).limit(max_rows - len(found))
            found += [Place(*row) for row in connection.execute(query)]
            if len(found) >= max_rows:
                break
    return found


def places_of_jobs(engine: Engine, job_ids: Sequence[int]) -> list[Place]:
    """One place of each of these jobs, in their order."""
    query = _places().where(SubmissionJob.job_id.in_(job_ids))
    with reading(engine) as connection:
        found = {place.job_id: place for place in (Place(*row) for row in connection.execute(query))}
    return [found[job_id] for job_id in job_ids if job_id in found]


def failed(engine: Engine, code: str, after: int, max_rows: int) -> list[Place]:
    """Failed conversations with this code in the order of their jobs, from the one after job `after`."""
    query = (
        select(Job.id)
        .where(Job.state == JobState.FAILED, Job.error_code == code, Job.id > after)
        .order_by(Job.id)
        .limit(max_rows)
    )
    with reading(engine) as connection:
        job_ids = connection.execute(query).scalars().all()
    return places_of_jobs(engine, job_ids)


def conversation(engine: Engine, submission_id: int, external_id: str) -> Conversation:
    """One conversation, with its summaries.

    Raises NotFoundError if the submission has no such id.
    """
    of_job = (Job.id, Job.text, Job.state, Job.attempts, Job.error_code, Job.error, Job.created_at, Job.finished_at)
    query = (
        select(*of_job)
        .join(SubmissionJob, SubmissionJob.job_id == Job.id)
        .where(SubmissionJob.submission_id == submission_id, SubmissionJob.external_id == external_id)
    )
    with reading(engine) as connection:
        row = connection.execute(query).one_or_none()
        if row is None:
            raise NotFoundError(f"submission {submission_id} has no conversation {external_id!r}.")
        columns = [getattr(Summary, field.name) for field in fields(SummaryRecord)]
        written = select(*columns, Summary.created_at).where(Summary.job_id == row[0]).order_by(Summary.id.desc())
        elsewhere = (
            select(SubmissionJob.submission_id, SubmissionJob.external_id)
            .where(SubmissionJob.job_id == row[0])
            .order_by(SubmissionJob.submission_id, SubmissionJob.external_id)
            .limit(_MAX_ELSEWHERE + 1)
        )
        return Conversation(
            submission_id,
            external_id,
            *row,
            summaries=tuple(
                WrittenSummary(SummaryRecord(*each[:-1]), each[-1]) for each in connection.execute(written)
            ),
            elsewhere=tuple(
                (number, name)
                for number, name in connection.execute(elsewhere)
                if (number, name) != (submission_id, external_id)
            ),
        )


def _places() -> Select[int, str, int, str, str | None, str | None, str | None, bool | None]:
    """The columns of a `Place`, with the newest summary."""
    newest = select(func.max(Summary.id)).where(Summary.job_id == SubmissionJob.job_id).correlate(SubmissionJob)
    return (
        select(
            SubmissionJob.submission_id,
            SubmissionJob.external_id,
            Job.id,
            Job.state,
            Job.error_code,
            Job.error,
            Summary.text,
            Summary.needs_review,
        )
        .join(Job, Job.id == SubmissionJob.job_id)
        .outerjoin(Summary, and_(Summary.job_id == Job.id, Summary.id == newest.scalar_subquery()))
    )


def registered_adapters(engine: Engine) -> list[RegisteredAdapter]:
    """The adapters in the registry, newest first."""
    columns = [getattr(Adapter, field.name) for field in fields(RegisteredAdapter)]
    with reading(engine) as connection:
        query = select(*columns).order_by(Adapter.created_at.desc(), Adapter.digest)
        return [RegisteredAdapter(*row) for row in connection.execute(query)]


def adapter_changes(engine: Engine, before: int | None, max_rows: int) -> list[AdapterChange]:
    """Promotions and rollbacks with a smaller number than `before`, newest first."""
    query = select(
        Promotion.id,
        Promotion.base_model,
        Promotion.action,
        Promotion.adapter_digest,
        Promotion.replaced_digest,
        Promotion.is_forced,
        Promotion.created_at,
    ).order_by(Promotion.id.desc())
    if before is not None:
        query = query.where(Promotion.id < before)
    with reading(engine) as connection:
        return [AdapterChange(*row) for row in connection.execute(query.limit(max_rows))]
