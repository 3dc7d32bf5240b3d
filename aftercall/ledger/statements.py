"""Parts of statements that the ledger's modules share."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Engine, Select, Update, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from aftercall.models import Base, Job, JobState, Submission, SubmissionJob

#: States of a job that waits or runs.
OPEN = (JobState.QUEUED, JobState.RUNNING)

#: The state, wrapped so that no planner uses an index on it: statements with a few ids use the primary key.
UNINDEXED_STATE = func.coalesce(Job.state, "")


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
