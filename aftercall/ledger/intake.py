"""From a source into the ledger: submissions and their jobs. Adding the same again adds nothing."""

import hashlib
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, literal_column, select, update

from aftercall.database import now
from aftercall.errors import AftercallError, NotFoundError
from aftercall.ledger.statements import fresh, insert, run, update_submission
from aftercall.models import Job, JobState, Submission, SubmissionJob


class SubmissionCancelledError(AftercallError):
    """Conversations were to be added to a submission that is cancelled."""


class _PurgedMeanwhileError(Exception):
    """A job that the ledger held was deleted before it could be held on to."""


@dataclass(frozen=True, slots=True)
class NewJob:
    """A cleaned conversation on its way into the ledger."""

    external_id: str
    #: Place in the source, from 0; exports keep this order.
    position: int
    text: str
    #: Digest of (cleaned conversation, cleaner version): the job's identity.
    job_key: str
    cleaner_version: str
    is_sufficient: bool


@dataclass(frozen=True, slots=True)
class Added:
    """What adding conversations came to."""

    #: Conversations that are new to the submission.
    num_added: int
    #: Of these, how many the ledger held already, through another submission or under another id.
    num_known: int
    #: Of these, how many hold nothing to summarize.
    num_insufficient: int
    #: Positions of those that were refused: their external id stands in the submission with another text.
    conflicts: frozenset[int]


def make_job_key(text: str, cleaner_version: str) -> str:
    """128 bits, in hex, of the digest of (cleaned conversation, cleaner version)."""
    # A lone surrogate cannot be stored and is in no job, but a message may bring one.
    return hashlib.sha256(f"{cleaner_version}\0{text}".encode(errors="surrogatepass")).hexdigest()[:32]


def open_submission(engine: Engine, name: str, source_digest: str) -> int:
    """The id of the submission of this source; the same source again, even at the same moment, is the same one."""
    row = {"name": name, "source_digest": source_digest, "num_rejected": 0, "created_at": now()}
    with engine.begin() as connection:
        # Looked for first: an INSERT takes a number also where a row is there. Held, so that it waits for a purge.
        there = select(Submission.id).where(Submission.source_digest == source_digest)
        known = connection.execute(there.with_for_update(read=True, key_share=True)).scalar_one_or_none()
        if known is not None:
            return known
        # It may come at this moment. A change that changes nothing returns its id.
        statement = insert(connection, Submission).values(row)
        found = statement.on_conflict_do_update(index_elements=["source_digest"], set_={"name": Submission.name})
        return int(connection.execute(found.returning(Submission.id)).scalar_one())


def close_submission(engine: Engine, submission_id: int, num_rejected: int, reading: str | None = None) -> None:
    """Note that the whole source has been read, and how: `reading` is JSON, a line of it."""
    values = {"read_at": now(), "num_rejected": num_rejected, "reading": reading}
    run(engine, update_submission(submission_id).values(values))


def add_jobs(engine: Engine, submission_id: int, new_jobs: Sequence[NewJob]) -> Added:
    """Add conversations to a submission, in one transaction. What is there already is left as it is.

    A conversation that another submission holds shares its job. A job that was cancelled is queued again.

    Raises SubmissionCancelledError if the submission is cancelled, NotFoundError if it was purged.
    """
    while True:
        # What is purged under its hands is created by the next round. A round that gives up lets go of all it holds:
        # to insert while holding jobs would be to wait in a circle with a purge and another submit.
        with suppress(_PurgedMeanwhileError), engine.begin() as connection:
            return _add(connection, submission_id, new_jobs)


def _add(connection: Connection, submission_id: int, new_jobs: Sequence[NewJob]) -> Added:
    _hold_submission(connection, submission_id)
    accepted, conflicts = _settle_ids(connection, submission_id, new_jobs)
    created, ids = _insert_jobs(connection, accepted)
    placed = _insert_places(connection, submission_id, accepted, ids)
    _revive(connection, set(ids.values()) - created)
    return Added(
        num_added=len(placed),
        num_known=sum(ids[job.job_key] not in created for job in placed),
        num_insufficient=sum(not job.is_sufficient for job in placed),
        conflicts=conflicts,
    )


def _hold_submission(connection: Connection, submission_id: int) -> None:
    """Keep it from being purged until the end of the transaction; it must be there and not be cancelled."""
    held = select(Submission.cancelled_at).where(Submission.id == submission_id)
    row = connection.execute(held.with_for_update(read=True, key_share=True)).one_or_none()
    if row is None:
        raise NotFoundError(
            f"submission {submission_id} was purged while its source was read. Submit the source again: it gets a new "
            "number, and what another submission holds is not done again."
        )
    if row.cancelled_at is not None:
        raise SubmissionCancelledError(
            f"submission {submission_id} is cancelled, nothing is added to it. To take it up again: "
            f"aftercall requeue {submission_id} --cancelled, then submit the source again."
        )


def _settle_ids(
    connection: Connection, submission_id: int, new_jobs: Sequence[NewJob]
) -> tuple[list[NewJob], frozenset[int]]:
    """Tell conversations whose external id is free, or holds the same text, from those whose id holds another text."""
    found = (
        select(SubmissionJob.external_id, Job.job_key)
        .join(Job)
        .where(
            SubmissionJob.submission_id == submission_id,
            SubmissionJob.external_id.in_([job.external_id for job in new_jobs]),
        )
    )
    holders = dict(connection.execute(found).all())
    accepted = [job for job in new_jobs if holders.setdefault(job.external_id, job.job_key) == job.job_key]
    return accepted, frozenset({job.position for job in new_jobs} - {job.position for job in accepted})


def _insert_jobs(connection: Connection, accepted: Sequence[NewJob]) -> tuple[set[int], dict[str, int]]:
    """Insert the jobs that are not there; returns the ids created, and the id of every key."""
    # In the order of their keys: two that insert the same jobs in different orders would wait for each other.
    rows = [
        {
            "job_key": job.job_key,
            "text": job.text,
            "cleaner_version": job.cleaner_version,
            "state": JobState.QUEUED if job.is_sufficient else JobState.INSUFFICIENT,
        }
        for _, job in sorted({job.job_key: job for job in accepted}.items())
    ]
    if not rows:
        return set(), {}
    # What is the same in every row is written into the statement: a parameter each would cost a tenth of the time.
    constants = {"created_at": now(), "attempts": literal_column("0"), "visible_at": literal_column("0.0")}
    statement = insert(connection, Job).values(constants).on_conflict_do_nothing()
    ids = dict(connection.execute(statement.returning(Job.job_key, Job.id), rows).all())
    created = set(ids.values())
    missing = [row["job_key"] for row in rows if row["job_key"] not in ids]
    return created, ids | _hold_jobs(connection, missing)


def _hold_jobs(connection: Connection, job_keys: Sequence[str]) -> dict[str, int]:
    """The ids of jobs that were there, kept from being purged until the end of the transaction."""
    # In the order of their numbers, as a purge holds them: two orders could wait for each other.
    held = select(Job.job_key, Job.id).where(Job.job_key.in_(job_keys)).order_by(Job.id)
    ids = dict(connection.execute(held.with_for_update(read=True, key_share=True)).all()) if job_keys else {}
    if len(ids) < len(job_keys):
        raise _PurgedMeanwhileError
    return ids


def _insert_places(
    connection: Connection, submission_id: int, accepted: Sequence[NewJob], ids: dict[str, int]
) -> list[NewJob]:
    """Insert the places that are not there; returns the conversations that got one."""
    rows = {
        job.external_id: {
            "submission_id": submission_id,
            "external_id": job.external_id,
            "position": job.position,
            "job_id": ids[job.job_key],
        }
        for job in reversed(accepted)
    }
    if not rows:
        return []
    statement = insert(connection, SubmissionJob).on_conflict_do_nothing().returning(SubmissionJob.position)
    positions = set(connection.execute(statement, list(rows.values())).scalars())
    return [job for job in accepted if job.position in positions]


def _revive(connection: Connection, job_ids: Collection[int]) -> None:
    """Queue again what was cancelled and a submission wants."""
    if job_ids:
        is_cancelled = Job.id.in_(job_ids) & (Job.state == JobState.CANCELLED)
        connection.execute(update(Job).where(is_cancelled).values(fresh()))
