"""The nightly job: take what is new in the inbox, submit, wait, write results and report, archive, purge.

Running it again after any end goes on where it stopped: submitting adds nothing twice, results and report are written
whole or not at all, and a source is archived last.
"""

import signal
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import click

from aftercall.errors import EXIT_SOME_REJECTED, EXIT_TIME_UP, AftercallError, DatabaseError, NotFoundError
from aftercall.ledger import account, audit
from aftercall.models import Priority
from aftercall.processes import handling_signals
from aftercall.terminal import show_error
from producer import advice, purge, show, wait
from producer.free_disk import disk_floor
from producer.night.inbox import Arrival, Inbox, archive_file, open_inbox
from producer.night.journal import Journal
from producer.night.lock import night_lock
from producer.report.gather import gather
from producer.report.write import write_report
from producer.results import write_results
from producer.services import Services, reaches_redis
from producer.source import SourceOptions, open_source
from producer.standing import has_ended
from producer.submit import SubmitOptions, SubmitReport, submit
from producer.wait import Waited


@dataclass(frozen=True, slots=True)
class NightRequest:
    """What the user asked for."""

    inbox: Path
    outbox: Path
    archive: Path | None
    #: As `next_deadline` reads it; empty: none.
    deadline: str
    purge_age_s: float | None
    settle_s: float
    options: SourceOptions
    priority: Priority | None = None


@dataclass(slots=True)
class NightFile:
    """One file of the inbox and what became of it."""

    arrival: Arrival
    report: SubmitReport | None = None
    #: Why it can't be read.
    error: AftercallError | None = None
    #: It was finished in an earlier night.
    is_old: bool = False
    archived_to: Path | None = None

    @property
    def name(self) -> str:
        """The file's name, without the inbox."""
        return self.arrival.path.name


@dataclass(slots=True)
class Night:
    """A night and what it came to."""

    inbox: Inbox
    files: list[NightFile] = field(default_factory=list)
    #: File name to submission, those of a night that was cut short among them.
    submissions: dict[str, int] = field(default_factory=dict)
    waited: Waited | None = None
    results: dict[str, Path] = field(default_factory=dict)
    #: Submissions that were deleted for their age; None: nothing was to be purged.
    num_purged: int | None = None
    report_file: Path | None = None

    @property
    def open_submissions(self) -> set[int]:
        """Those that had not ended when time was up."""
        standings = self.waited.standings.submissions if self.waited else ()
        return {each.record.id for each in standings if not each.has_ended}

    @property
    def exit_code(self) -> int:
        """One for all: time was up, a file can't be read, conversations failed, rows were rejected, in this order."""
        if self.waited is not None and self.waited.is_time_up:
            return EXIT_TIME_UP
        unreadable = next((each.error.exit_code for each in self.files if each.error), 0)
        waited = self.waited.exit_code if self.waited else 0
        has_rejected = self.waited is not None and self.waited.standings.num_rejected
        return unreadable or waited or (EXIT_SOME_REJECTED if has_rejected else 0)


def run_night(request: NightRequest, services: Services) -> Night:
    """Do a night's work.

    Raises NotReadyError if another night holds the lock, DatabaseError if the database is away for minutes, OSError if
    a folder can't be read or written.
    """
    request.outbox.mkdir(parents=True, exist_ok=True)
    limits = wait.make_limits(None, request.deadline)
    stopping = handling_signals(signal.default_int_handler, signal.SIGTERM, signal.SIGHUP)
    with night_lock(request.outbox), stopping:
        night = Night(open_inbox(request.inbox, request.settle_s))
        journal = Journal(request.outbox)
        _take_in(request, services, night, journal)
        night.submissions = _existing(services, journal)
        if night.submissions:
            numbers = sorted(set(night.submissions.values()))
            night.waited = wait.wait(services.database, numbers, limits)
            wait.tell(night.waited)
        _write_results(request, services, night)
        _archive(request, night)
        journal.keep(night.open_submissions)
        _purge(request, services, night)
    return night


def _write_results(request: NightRequest, services: Services, night: Night) -> None:
    for name, number in night.submissions.items():
        night.results[name] = request.outbox / f"{name}.summaries.csv"
        write_results(services.database, number, night.results[name])
        audit.record(services.database, audit.Entry(audit.Action.EXPORT, number, {}))
    unread = [(each.name, str(each.error)) for each in night.files if each.error]
    if night.submissions or unread:
        report = gather(
            services.database,
            night.submissions.values(),
            deadline=request.deadline,
            gpu_hour_cost=services.settings.gpu_hour_cost,
            rejected_files={number: rejected_file(request, name) for name, number in night.submissions.items()},
            unread=unread,
        )
        night.report_file = request.outbox / f"night-{datetime.fromtimestamp(report.end_at):%Y-%m-%d}.html"
        write_report(report, night.report_file)
        click.echo(f"report: {night.report_file}")


def _archive(request: NightRequest, night: Night) -> None:
    """The last step for a file: its results and the report are on disk."""
    if request.archive is None:
        return
    for each in night.files:
        if each.report is None or each.report.submission_id not in night.open_submissions:
            each.archived_to = archive_file(each.arrival, request.archive, is_readable=each.error is None)


def _purge(request: NightRequest, services: Services, night: Night) -> None:
    if request.purge_age_s is not None and not night.open_submissions:
        plan = purge.plan_older(services.database, request.purge_age_s)
        purge.delete(services.database, plan)
        night.num_purged = len(plan.submissions)


def _take_in(request: NightRequest, services: Services, night: Night, journal: Journal) -> None:
    """Submit every file, whatever is wrong with another."""
    if night.inbox.settled and advice.is_one_machine(services.settings) and not reaches_redis(services):
        raise AftercallError("`aftercall night` needs workers: set up Redis, and start `aftercall worker`.")
    for arrival in night.inbox.settled:
        taken = NightFile(arrival)
        night.files.append(taken)
        try:
            taken.report = _submit(request, services, arrival)
        except DatabaseError:
            raise
        except AftercallError as error:
            taken.error = error
            show_error(error)
            continue
        taken.is_old = _is_old(request, services, taken.name, taken.report, journal)
        if not taken.is_old:
            journal.add(taken.name, taken.report.submission_id)


def rejected_file(request: NightRequest, name: str) -> Path:
    """Where the rejected rows of a file of the inbox go: the inbox may belong to somebody else."""
    return request.outbox / f"{name}.rejected.csv"


def _submit(request: NightRequest, services: Services, arrival: Arrival) -> SubmitReport:
    rejected_path = rejected_file(request, arrival.path.name)
    with open_source(str(arrival.path), request.options) as opened:
        how = SubmitOptions(disk_floor(services.settings), request.priority)
        report = submit(opened, services.database, services.sweeper, rejected_path, options=how)
        show.submitted(opened, report, rejected_path, is_dry_run=False)
    if report.broker_error is not None:
        click.echo(f"not all is sent yet; a worker that reaches Redis does it: {report.broker_error}")
    return report


def _is_old(request: NightRequest, services: Services, name: str, report: SubmitReport, journal: Journal) -> bool:
    """Whether an earlier night finished this file, which was not archived."""
    if report.num_added or name in journal.submissions:
        return False
    number = report.submission_id
    is_over = has_ended(account.submission(services.database, number), account.account(services.database, number))
    return is_over and (request.outbox / f"{name}.summaries.csv").is_file()


def _existing(services: Services, journal: Journal) -> dict[str, int]:
    """The night's submissions, without those that were purged meanwhile."""
    found = {}
    for name, number in journal.submissions.items():
        try:
            account.submission(services.database, number)
        except NotFoundError:
            continue
        found[name] = number
    return found
