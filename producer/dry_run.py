"""What a submit would make of a source. Knows no database of ours, and so not what was submitted before."""

import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path

from aftercall.ledger.intake import Added, NewJob
from producer.batches import read_batches
from producer.readers.scratch import open_scratch
from producer.rejected import RejectedFile
from producer.source import Source
from producer.submit import AddJobs, SubmitReport, take_in


def dry_run(
    source: Source, rejected_path: Path, on_progress: Callable[[SubmitReport], None] = lambda report: None
) -> SubmitReport:
    """Count what would be new to a first submission of `source`, and write what would be rejected to `rejected_path`.

    Raises SourceError if the source turns out to be unreadable as a whole.
    """
    report = SubmitReport(submission_id=0)
    with (
        open_scratch() as scratch,
        RejectedFile(rejected_path, source.columns, source.limits.max_rejected_chars, is_dry_run=True) as rejected,
    ):
        add_jobs = open_rehearsal(scratch)
        for batch in read_batches(source):
            take_in(batch, add_jobs, report, rejected)
            on_progress(report)
    report.older_rejected_path = rejected.older_path
    return report


def open_rehearsal(scratch: sqlite3.Connection) -> AddJobs:
    """A submission that is new and keeps nothing."""
    scratch.execute("CREATE TABLE place (id PRIMARY KEY, job_key) WITHOUT ROWID")
    return partial(_add_jobs, scratch)


def _add_jobs(scratch: sqlite3.Connection, new_jobs: list[NewJob]) -> Added:
    """What `ledger.intake.add_jobs` would answer, of a submission that is new and shares nothing with another."""
    added = [job for job in new_jobs if _is_new(scratch, job)]
    return Added(
        num_added=len(added),
        num_known=0,
        num_insufficient=sum(not job.is_sufficient for job in added),
        conflicts=frozenset(job.position for job in new_jobs if _clashes(scratch, job)),
    )


def _is_new(scratch: sqlite3.Connection, job: NewJob) -> bool:
    place = (job.external_id, job.job_key)
    return scratch.execute("INSERT OR IGNORE INTO place VALUES (?, ?)", place).rowcount > 0


def _clashes(scratch: sqlite3.Connection, job: NewJob) -> bool:
    """Whether its id stands with another text."""
    (job_key,) = scratch.execute("SELECT job_key FROM place WHERE id = ?", (job.external_id,)).fetchone()
    return bool(job_key != job.job_key)
