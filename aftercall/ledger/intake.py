"""Adds submissions and their jobs to the ledger. Adding the same source again adds nothing."""

import hashlib
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, false, literal_column, select, true, update

from aftercall.database import now
from aftercall.errors import AftercallError, NotFoundError
from aftercall.ledger.statements import UNINDEXED_STATE, fresh, insert, progress_of, run, update_submission
from aftercall.models import Job, JobState, Priority, Submission, SubmissionJob


class SubmissionCancelledError(AftercallError):
    """Conversations were to be added to a submission that is cancelled."""


class _PurgedMeanwhileError(Exception):
    """A job was purged between being found and being locked."""


@dataclass(frozen=True, slots=True)
class _Held:
    """A submission that is locked against a purge, and when the jobs that are added to it now are to be sent."""

    submission_id: int
    priority: Priority
    turn: int


@dataclass(frozen=True, slots=True)
class NewJob:
    """A cleaned conversation on its way into the ledger."""

    external_id: str
    #: Position in the source, from 0. Exports keep this order.
    position: int
    text: str
    #: `make_job_key` of it: the job's identity.
    job_key: str
    cleaner_version: str
    is_sufficient: bool
    #: The adapter that was asked for; empty: the base model alone; None: whichever is served.
    adapter_digest: str | None = None


@dataclass(frozen=True, slots=True)
class Added:
    """The result of adding conversations."""

    #: Conversations that are new to the submission.
    num_added: int
    #: How many of these the ledger already held, through another submission or under another id.
    num_known: int
    #: How many of these have nothing to summarize.
    num_insufficient: int
    #: Positions of refused conversations: the submission has their external id with another text.
    conflicts: frozenset[int]


def make_job_key(text: str, cleaner_version: str, adapter_digest: str | None = None) -> str:
    """128 bits, in hex, of the digest of (cleaned conversation, cleaner version, adapter if one was asked for)."""
    asked = "" if adapter_digest is None else f"\0adapter {adapter_digest}"
    # A lone surrogate can't be stored, so no job has one, but a message may.
    return hashlib.sha256(f"{cleaner_version}{asked}\0{text}".encode(errors="surrogatepass")).hexdigest()[:32]


def open_submission(engine: Engine, name: str, source_digest: str, priority: Priority = Priority.NORMAL) -> int:
    """The id of this source's submission. The same source again, even at the same moment, is the same submission.

    Args:
        priority: of a new submission; `control.prioritize` changes that of one that exists.
    """
    row = {
        "name": name, "source_digest": source_digest, "num_rejected": 0, "created_at": now(), "priority": priority,
        "next_turn": 0,
    }  # fmt: skip
    with engine.begin() as connection:
        # Looked up first, because an INSERT uses up a number even if the row exists. The lock waits for a purge.
        there = select(Submission.id).where(Submission.source_digest == source_digest)
        known = connection.execute(there.with_for_update(read=True, key_share=True)).scalar_one_or_none()
        if known is not None:
            return known
        # Another process may insert it at this moment. The update changes nothing and returns its id.
        statement = insert(connection, Submission).values(row)
        found = statement.on_conflict_do_update(index_elements=["source_digest"], set_={"name": Submission.name})
        return int(connection.execute(found.returning(Submission.id)).scalar_one())


def close_submission(engine: Engine, submission_id: int, num_rejected: int, reading: str | None = None) -> None:
    """Record that the whole source was read, and how: `reading` is one line of JSON."""
    values = {"read_at": now(), "num_rejected": num_rejected, "reading": reading}
    run(engine, update_submission(submission_id).values(values))


def add_jobs(engine: Engine, submission_id: int, new_jobs: Sequence[NewJob]) -> Added:
    """Add conversations to a submission, in one transaction. Existing ones are left as they are.

    A conversation that another submission holds shares its job. A job that was cancelled is queued again.

    Raises SubmissionCancelledError if the submission is cancelled, NotFoundError if it was purged.
    """
    while True:
        # A job that is purged meanwhile is created by the next round. Each round starts without locks: inserting while
        # holding jobs could deadlock with a purge and another submit.
        with suppress(_PurgedMeanwhileError), engine.begin() as connection:
            return _add(connection, submission_id, new_jobs)


def _add(connection: Connection, submission_id: int, new_jobs: Sequence[NewJob]) -> Added:
    held = _hold_submission(connection, submission_id)
    accepted, conflicts = _settle_ids(connection, submission_id, new_jobs)
    created, ids = _insert_jobs(connection, accepted, held)
    placed = _insert_places(connection, submission_id, accepted, ids, created)
    if known := set(ids.values()) - created:
        _want(connection, known, held)
    # The last statement: whoever waits for this row waits for nothing that this transaction may still wait for.
    if created:
        connection.execute(update_submission(submission_id).values(next_turn=held.turn + len(created)))
    return Added(
        num_added=len(placed),
        num_known=sum(ids[job.job_key] not in created for job in placed),
        num_insufficient=sum(not job.is_sufficient for job in placed),
        conflicts=conflicts,
    )


def _hold_submission(connection: Connection, submission_id: int) -> _Held:
    """Lock a submission against a purge until the transaction ends. It must exist and not be cancelled."""
    columns = (Submission.cancelled_at, Submission.priority, Submission.next_turn)
    held = select(*columns, progress_of(Submission.priority).label("sent")).where(Submission.id == submission_id)
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
    return _Held(submission_id, Priority(row.priority), max(row.next_turn, row.sent))


def _settle_ids(
    connection: Connection, submission_id: int, new_jobs: Sequence[NewJob]
) -> tuple[list[NewJob], frozenset[int]]:
    """Split off the conversations whose external id is already in the submission with another text."""
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


def _insert_jobs(connection: Connection, accepted: Sequence[NewJob], held: _Held) -> tuple[set[int], dict[str, int]]:
    """Insert the missing jobs; returns the ids that were created, and the id of every key."""
    # Ordered by key: two transactions that insert the same jobs in different orders would deadlock.
    rows: list[dict[str, Any]] = [
        {
            "job_key": job.job_key,
            "text": job.text,
            "cleaner_version": job.cleaner_version,
            "adapter_digest": job.adapter_digest,
            "state": JobState.QUEUED if job.is_sufficient else JobState.INSUFFICIENT,
            # In the statement, these two would make it another one for each batch, to be compiled anew.
            "submission_id": held.submission_id,
            "turn": held.turn,
        }
        for _, job in sorted({job.job_key: job for job in accepted}.items())
    ]
    if not rows:
        return set(), {}
    # Values that are the same in every row are in the statement: as parameters they would cost a tenth of the time.
    constants = {
        "created_at": now(),
        "attempts": literal_column("0"),
        "visible_at": literal_column("0.0"),
        "priority": literal_column(str(held.priority.value)),
    }
    statement = insert(connection, Job).values(constants).on_conflict_do_nothing()
    ids = dict(connection.execute(statement.returning(Job.job_key, Job.id), rows).all())
    created = set(ids.values())
    missing = [row["job_key"] for row in rows if row["job_key"] not in ids]
    return created, ids | _hold_jobs(connection, missing)


def _hold_jobs(connection: Connection, job_keys: Sequence[str]) -> dict[str, int]:
    """The ids of existing jobs, locked against a purge until the transaction ends."""
    # Ordered by id, as a purge locks them: two orders could deadlock.
    held = select(Job.job_key, Job.id).where(Job.job_key.in_(job_keys)).order_by(Job.id)
    ids = dict(connection.execute(held.with_for_update(read=True, key_share=True)).all()) if job_keys else {}
    if len(ids) < len(job_keys):
        raise _PurgedMeanwhileError
    return ids


def _insert_places(
    connection: Connection,
    submission_id: int,
    accepted: Sequence[NewJob],
    ids: dict[str, int],
    created: Collection[int],
) -> list[NewJob]:
    """Insert the missing places; returns the conversations that got one. A created job's first place is its home."""
    first = {job.external_id: job for job in reversed(accepted)}
    homeless = set(created)
    rows: dict[bool, list[dict[str, Any]]] = {False: [], True: []}
    for job in reversed(first.values()):
        job_id = ids[job.job_key]
        place = {"external_id": job.external_id, "position": job.position, "job_id": job_id}
        rows[job_id not in homeless].append(place | {"submission_id": submission_id})
        homeless.discard(job_id)
    positions: set[int] = set()
    for is_guest, places in rows.items():
        statement = insert(connection, SubmissionJob).values(is_guest=true() if is_guest else false())
        if places:
            new = statement.on_conflict_do_nothing().returning(SubmissionJob.position)
            positions.update(connection.execute(new, places).scalars())
    return [job for job in accepted if job.position in positions]


def _want(connection: Connection, job_ids: Collection[int], held: _Held) -> None:
    """Queue jobs of these again that were cancelled, and make what waits as urgent as the submission."""
    order = {"priority": held.priority, "turn": held.turn}
    is_cancelled = Job.id.in_(job_ids) & (Job.state == JobState.CANCELLED)
    connection.execute(update(Job).where(is_cancelled).values(fresh() | order))
    if held.priority < Priority.LOW:
        # What has a message already gets another one, which overtakes it. The claim drops the second.
        is_slower = Job.id.in_(job_ids) & (UNINDEXED_STATE == JobState.QUEUED) & (Job.priority > held.priority)
        # A job that is locked is being sent or claimed. Waiting for it while holding others could deadlock.
        free = select(Job.id).where(is_slower).order_by(Job.id).with_for_update(skip_locked=True)
        connection.execute(update(Job).where(Job.id.in_(free)).values(order | {"sent_at": None}))
