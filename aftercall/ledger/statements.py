"""Parts of statements that the ledger's modules share."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    ScalarSelect,
    Select,
    Update,
    bindparam,
    func,
    literal,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from aftercall.database import reading
from aftercall.models import Base, Job, JobState, Progress, Submission, SubmissionJob

#: States of a job that waits or runs.
OPEN = (JobState.QUEUED, JobState.RUNNING)

#: The state, wrapped so that no planner uses an index on it: statements with a few ids use the primary key.
UNINDEXED_STATE = func.coalesce(Job.state, "")

#: Places that one transaction of a long change looks at. Others wait no longer for it than for a batch of a submit.
BATCH_PLACES = 1_000


def run(engine: Engine, statement: Update) -> int:
    """Execute one UPDATE in a transaction of its own; returns the number of rows it changed."""
    with engine.begin() as connection:
        return connection.execute(statement).rowcount


def insert(connection: Connection, table: type[Base]) -> postgresql.Insert | sqlite.Insert:
    """An INSERT with the database's own ON CONFLICT."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)


def queued(job_ids: Sequence[int]) -> Update:
    """An UPDATE of those of the jobs that are queued."""
    return update(Job).where(Job.id.in_(job_ids), UNINDEXED_STATE == JobState.QUEUED)


def jobs_of(submission_id: int) -> Select[int]:
    """A query for the ids of a submission's jobs."""
    return select(SubmissionJob.job_id).where(SubmissionJob.submission_id == submission_id)


def update_submission(submission_id: int) -> Update:
    """An UPDATE of one submission."""
    return update(Submission).where(Submission.id == submission_id)


def fresh() -> dict[str, Any]:
    """The columns of a job that waits for its first message."""
    return {
        "state": JobState.QUEUED,
        "sent_at": None,
        "visible_at": 0.0,
        "lease_owner": None,
        "finished_at": None,
        "error_code": None,
        "error": None,
    }


def is_among(column: Any, ids: Collection[int]) -> ColumnElement[bool]:
    """Whether a column is one of many numbers."""
    # Literals in the statement, because years of small submissions exceed the number of parameters.
    return column.in_(bindparam(None, list(ids), expanding=True, literal_execute=True))  # type: ignore[no-any-return]


def job_batches(engine: Engine, submission_id: int) -> Iterator[list[int]]:
    """The jobs of a submission, those of `BATCH_PLACES` places at a time, each batch as it then is."""
    last = ""
    columns = (SubmissionJob.external_id, SubmissionJob.job_id)
    mine = select(*columns).where(SubmissionJob.submission_id == submission_id).limit(BATCH_PLACES)
    while True:
        with reading(engine) as connection:
            after = mine.where(SubmissionJob.external_id > last).order_by(SubmissionJob.external_id)
            places = connection.execute(after).all()
        if not places:
            return
        yield [place.job_id for place in places]
        last = places[-1].external_id


def progress_of(priority: Any) -> ColumnElement[int]:
    """The highest turn that was sent of a priority, as part of a statement; 0 if none was."""
    sent: ScalarSelect[int] = select(Progress.turn).where(Progress.priority == priority).scalar_subquery()
    return func.coalesce(sent, literal(0))
