"""From a source into the ledger and the queue: read, clean, commit, then send.

Streams: memory does not grow with the source. Knows no model and no worker.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from aftercall.database import explain
from aftercall.errors import BrokerError
from aftercall.ledger import account, audit, intake, webhooks
from aftercall.ledger.intake import Added, NewJob
from aftercall.sweep import Sweeper
from producer.batches import Batch, Prepared, read_batches
from producer.free_disk import NO_FLOOR, DiskFloor
from producer.rejected import RejectedFile
from producer.source import Rejected, Source

#: Rejected rows that are shown with their reasons.
NUM_EXAMPLES = 5

#: A submit that is killed at its end can't say whether it added anything: the webhook is told after so long.
WEBHOOK_AFTER_S = 600.0

#: Takes conversations into a submission.
AddJobs = Callable[[list[NewJob]], Added]


class RejectedRows(Protocol):
    """Where rejected rows go."""

    def write(self, rejected: Rejected) -> None:
        """Add one row."""
        ...


@dataclass(slots=True)
class SubmitReport:
    """What became of a source, in conversations. Filled while it is read."""

    submission_id: int
    #: Read from the source, rejected rows not counted.
    num_read: int = 0
    #: New to this submission.
    num_added: int = 0
    #: Of the new ones, with a text that is summarized or queued already, for another submission or an earlier line.
    num_known: int = 0
    #: Of the new ones, with nothing to summarize in them.
    num_insufficient: int = 0
    num_rejected: int = 0
    #: The first reasons, each with its line.
    examples: list[Rejected] = field(default_factory=list)
    #: Where an older file of rejected rows, with others in it, is now.
    older_rejected_path: Path | None = None
    #: Why nothing could be sent, if so; a worker that reaches Redis will send it.
    broker_error: BrokerError | None = None


def submit(
    source: Source,
    database: Engine,
    sweeper: Sweeper,
    rejected_path: Path,
    on_progress: Callable[[SubmitReport], None] = lambda report: None,
    floor: DiskFloor = NO_FLOOR,
) -> SubmitReport:
    """Commit every conversation of `source` to the ledger and send what the window has room for.

    Rejected rows go to `rejected_path`. Submitting again, after an end or half-way, adds only what is missing.

    Raises SourceError if the source turns out to be unreadable as a whole, DatabaseError if the database is away,
    DiskFullError if less disk is free than `floor` asks for; what was committed before stays and is taken up by
    the next try.
    """
    floor.check()
    try:
        report = SubmitReport(intake.open_submission(database, source.name, source.digest))
        was_read = account.submission(database, report.submission_id).is_read
        if sweeper.has_webhook:
            webhooks.ask(database, report.submission_id, after_s=WEBHOOK_AFTER_S)
        add_jobs = partial(intake.add_jobs, database, report.submission_id)
        with RejectedFile(rejected_path, source.columns, source.limits.max_rejected_chars) as rejected:
            for batch in read_batches(source):
                floor.check()
                take_in(batch, add_jobs, report, rejected)
                _send(sweeper, report)
                on_progress(report)
        report.older_rejected_path = rejected.older_path
        intake.close_submission(database, report.submission_id, report.num_rejected, source.account.to_json())
        if sweeper.has_webhook:
            webhooks.settle(database, report.submission_id, is_wanted=not was_read or report.num_added > 0)
        audit.record(database, _audited(report))
    except DBAPIError as error:
        raise explain(database, error) from None
    return report


def _audited(report: SubmitReport) -> audit.Entry:
    counts = {"read": report.num_read, "new": report.num_added, "rejected": report.num_rejected}
    return audit.Entry(audit.Action.SUBMIT, report.submission_id, counts)


def take_in(batch: Batch, add_jobs: AddJobs, report: SubmitReport, rejected: RejectedRows) -> frozenset[int]:
    """Add a batch's conversations, and reject what is none or clashes with one that is there.

    Returns the positions of those that clash.
    """
    prepared = {}
    for row in batch:
        if isinstance(row, Rejected):
            _reject(row, report, rejected)
        else:
            prepared[row.job.position] = row
    added = add_jobs([row.job for row in prepared.values()])
    report.num_read += len(prepared) - len(added.conflicts)
    report.num_added += added.num_added
    report.num_known += added.num_known
    report.num_insufficient += added.num_insufficient
    for position in sorted(added.conflicts):
        _reject(_clashing(prepared[position]), report, rejected)
    return added.conflicts


def _clashing(row: Prepared) -> Rejected:
    return Rejected(
        line=row.line,
        reason=f"id {row.job.external_id!r} stands on an earlier line with another text; an id names one conversation. "
        "Give this one an id of its own.",
        row=row.row,
    )


def _reject(row: Rejected, report: SubmitReport, rejected: RejectedRows) -> None:
    report.num_rejected += 1
    rejected.write(row)
    if len(report.examples) < NUM_EXAMPLES:
        report.examples.append(row)


def _send(sweeper: Sweeper, report: SubmitReport) -> None:
    """Send what the window has room for. Without Redis the submission goes on: the ledger has it all."""
    if report.broker_error is None:
        try:
            sweeper.top_up()
        except BrokerError as error:
            report.broker_error = error
