"""Deletes one conversation: its places, its job unless another place holds it, and its summaries.

Unlike a purge it also takes what waits or runs. A worker that holds the job finds no row to write its summary to.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, Select, delete, func, select

from aftercall.database import reading
from aftercall.ledger import audit, reviews
from aftercall.ledger.places import rehome
from aftercall.ledger.statements import is_among
from aftercall.models import Job, ReviewRow, RolloutResult, Submission, SubmissionJob, Summary

#: Submissions that are searched in one query.
_NUM_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Found:
    """A conversation's place in a submission, and the job behind it."""

    submission_id: int
    job_id: int
    job_key: str
    state: str
    text: str
    num_summaries: int
    #: Other places that hold the same job: with them its text stays.
    num_other_places: int

    @property
    def digest(self) -> str:
        """Of the cleaned text: the one that adapters record for the conversations that they were trained on."""
        return hashlib.sha256(self.text.encode(errors="surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class Erased:
    """What one transaction deleted."""

    num_places: int
    #: Jobs whose rows are gone.
    job_ids: tuple[int, ...]
    num_summaries: int


def find(engine: Engine, external_id: str, submission_id: int | None = None) -> list[Found]:
    """Where a caller's id stands: in every submission, or in one."""
    with reading(engine) as connection:
        places = [
            (place.submission_id, place.job_id)
            for ids in _submissions(connection, submission_id)
            for place in connection.execute(_places(ids, external_id))
        ]
        num_mine = Counter(job_id for _, job_id in places)
        return [_describe(connection, *place, num_mine) for place in places]


def _describe(connection: Connection, submission_id: int, job_id: int, num_mine: Counter[int]) -> Found:
    job = connection.execute(select(Job.job_key, Job.state, Job.text).where(Job.id == job_id)).one()
    held = select(func.count()).select_from(SubmissionJob).where(SubmissionJob.job_id == job_id)
    summaries = select(func.count()).select_from(Summary).where(Summary.job_id == job_id)
    return Found(
        submission_id=submission_id,
        job_id=job_id,
        job_key=job.job_key,
        state=job.state,
        text=job.text,
        num_summaries=connection.execute(summaries).scalar_one(),
        num_other_places=connection.execute(held).scalar_one() - num_mine[job_id],
    )


def erase(engine: Engine, external_id: str, submission_ids: Sequence[int]) -> Erased:
    """Delete a caller's id from these submissions, with all that only it held, in one transaction, and audit it."""
    with engine.begin() as connection:
        if connection.dialect.name == "sqlite":
            # Otherwise SQLite only marks the pages as free, and the words stay readable in the file.
            connection.exec_driver_sql("PRAGMA secure_delete = ON")
        _hold_submissions(connection, submission_ids)
        places = connection.execute(_places(submission_ids, external_id)).all()
        job_ids = sorted({place.job_id for place in places})
        # In the order of their numbers, as a submit and a purge hold them.
        connection.execute(select(Job.id).where(Job.id.in_(job_ids)).order_by(Job.id).with_for_update())
        is_place = is_among(SubmissionJob.submission_id, submission_ids) & (SubmissionJob.external_id == external_id)
        connection.execute(delete(SubmissionJob).where(is_place))
        held = connection.execute(select(SubmissionJob.job_id).where(SubmissionJob.job_id.in_(job_ids))).scalars()
        unheld = sorted(set(job_ids).difference(held))
        connection.execute(delete(RolloutResult).where(RolloutResult.job_id.in_(unheld)))
        rehome(connection, sorted(set(job_ids).difference(unheld)))
        # Of a job that another place holds, the rows of these submissions go too.
        is_theirs = is_among(ReviewRow.submission_id, submission_ids) & ReviewRow.job_id.in_(job_ids)
        reviews.delete_rows(connection, is_theirs | ReviewRow.job_id.in_(unheld))
        num_summaries = connection.execute(delete(Summary).where(Summary.job_id.in_(unheld))).rowcount
        connection.execute(delete(Job).where(Job.id.in_(unheld)))
        counts = {"conversations": len(places), "jobs": len(unheld), "summaries": num_summaries}
        submission_id = submission_ids[0] if len(submission_ids) == 1 else None
        audit.record_with(connection, audit.Entry(audit.Action.ERASE, submission_id, counts))
        return Erased(len(places), tuple(unheld), num_summaries)


def _submissions(connection: Connection, submission_id: int | None) -> Iterator[Sequence[int]]:
    """The ids, in batches: with them the primary key finds a place, which begins with the submission."""
    if submission_id is not None:
        yield [submission_id]
        return
    ids = connection.execute(select(Submission.id).order_by(Submission.id)).scalars().all()
    for start in range(0, len(ids), _NUM_AT_ONCE):
        yield ids[start : start + _NUM_AT_ONCE]


def _places(submission_ids: Sequence[int], external_id: str) -> Select[int, int]:
    is_place = is_among(SubmissionJob.submission_id, submission_ids) & (SubmissionJob.external_id == external_id)
    return select(SubmissionJob.submission_id, SubmissionJob.job_id).where(is_place).order_by("submission_id")


def _hold_submissions(connection: Connection, submission_ids: Sequence[int]) -> None:
    """Wait until nothing is being added to them, and let nothing be added until the end of the transaction."""
    held = select(Submission.id).where(is_among(Submission.id, submission_ids))
    connection.execute(held.order_by(Submission.id).with_for_update())
