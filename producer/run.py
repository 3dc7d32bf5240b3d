"""`aftercall run`: a source to its summaries on this machine, in one command: prepare, submit, work, write, show.

Starts a broker and a worker and stops them at the end. The worker is only a child process here.
"""

import shlex
import signal
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TextIO

import click
from rich.text import Text
from sqlalchemy import Engine

from aftercall import schema
from aftercall.broker import Broker
from aftercall.database import show_url
from aftercall.embedded import broker_log, check_worker, embedded_broker, embedded_worker
from aftercall.errors import EXIT_INTERRUPTED, EXIT_SOME_FAILED, EXIT_SOME_REJECTED, AftercallError, BrokerError
from aftercall.ledger import account, audit, failures
from aftercall.ledger.account import Account
from aftercall.logs import rotate
from aftercall.notifier import Notifier
from aftercall.processes import handling_signals
from aftercall.settings import Settings, load_settings
from aftercall.sweep import Sweeper
from producer import as_json, show
from producer.export import RESULT_COLUMNS
from producer.free_disk import disk_floor
from producer.output import STDOUT, check_out
from producer.pauses import pause_after
from producer.progress import showing_progress
from producer.results import results_path, write_results
from producer.source import SourceOptions, open_source
from producer.source_options import to_arguments
from producer.standing import read_standings
from producer.submit import SubmitReport, submit

POLL_INTERVAL_S = 0.5
NUM_SHOWN = 5

#: Some 500 conversations. A few more messages for so few keep no engine waiting.
SMALL_SOURCE_BYTES = 500_000
SMALL_CHUNK_SIZE = 8


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What the user asked for: a source, how to read it, and where the results go."""

    source: str
    options: SourceOptions
    out: Path
    rejected_path: Path

    @property
    def command(self) -> str:
        """The command line that asks for the same again."""
        out = [] if self.out == results_path(self.source) else ["--out", str(self.out)]
        return shlex.join(["aftercall", "run", self.source, *out, *to_arguments(self.options)])


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """What a finished run came to."""

    report: SubmitReport
    standing: Account
    #: Summaries that a person should read.
    num_to_review: int
    elapsed_s: float
    #: Where an older results file with other summaries is now, if there was one.
    older_path: Path | None

    @property
    def exit_code(self) -> int:
        """What a script needs to know."""
        if self.standing.failed:
            return EXIT_SOME_FAILED
        return EXIT_SOME_REJECTED if self.report.num_rejected else 0


def run_source(request: RunRequest, json_to: TextIO | None = None) -> int:
    """Summarize a source; returns the exit code. The account goes to `json_to` as JSON, too.

    Raises AftercallError, such as SourceError or ModelError, if the run can't begin or go on.
    """
    started = time.monotonic()
    settings = _prepare(request)
    with schema.open_ledger(settings, with_upgrade=True) as database:
        report = None
        try:
            with handling_signals(_interrupt, signal.SIGTERM, signal.SIGHUP), embedded_broker(settings.data_dir) as url:
                settings = settings.model_copy(update={"redis_url": url})
                report = _submit(request, settings, database)
                _work(settings, database, report.submission_id)
        except KeyboardInterrupt:
            # The jobs in hand were finished first, and may have been the last ones.
            if report is None or account.account(database, report.submission_id).open:
                _show_interrupted(request, database, report)
                return EXIT_INTERRUPTED
        outcome = _write(request, report, database, started)
        if settings.webhook_url:
            Notifier(database, settings).finish()
        _show(request, outcome, settings, database)
        if json_to is not None:
            as_json.write("run", _to_json(request, outcome, database), json_to)
    return outcome.exit_code


def _prepare(request: RunRequest) -> Settings:
    """The settings of this run, once it is known that its results can be written."""
    settings = load_settings()
    if request.out == STDOUT:
        raise AftercallError("the account of the run goes to stdout: name a file for the summaries.")
    check_out(request.out, RESULT_COLUMNS)
    return settings.model_copy(update={"chunk_size": _chunk_size(request.source, settings)})


def _chunk_size(source: str, settings: Settings) -> int:
    """Small chunks for a small source: a worker writes its results by the chunk, and the progress bar should move."""
    is_small = source != "-" and Path(source).is_file() and Path(source).stat().st_size < SMALL_SOURCE_BYTES
    return min(SMALL_CHUNK_SIZE, settings.chunk_size) if is_small else settings.chunk_size


def _interrupt(number: int, frame: FrameType | None) -> None:
    """SIGTERM and a closed terminal stop the run as Ctrl-C does: in order, with nothing left running."""
    # The shell and the terminal may both report a hang-up. Only a person's second Ctrl-C asks for haste.
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _submit(request: RunRequest, settings: Settings, database: Engine) -> SubmitReport:
    with closing(Broker(settings)) as broker, open_source(request.source, request.options) as opened:
        with show.submitting(opened.name) as on_progress:
            sweeper = Sweeper(database, broker, settings)
            floor = disk_floor(settings)
            report = submit(opened, database, sweeper, request.rejected_path, on_progress, floor)
        show.submitted(opened, report, request.rejected_path, is_dry_run=False)
    return report


def _work(settings: Settings, database: Engine, submission_id: int) -> None:
    """Run a worker until every job of the submission has ended, with a progress bar. Starts none if all have.

    Raises ModelError if the worker ends before its work does, BrokerError if the embedded server does.
    """
    standing = account.account(database, submission_id)
    if not standing.open:
        return
    log = _worker_log(settings)
    with closing(Broker(settings)) as broker, embedded_worker(settings, log) as worker:
        try:
            with showing_progress(standing, settings) as show_standing:
                look_s = 0.0
                while standing.open:
                    check_worker(worker, log)
                    for each in (log, broker_log(settings.data_dir)):
                        rotate(each, settings.log_max_bytes)
                    _check_broker(broker, settings)
                    show_standing(standing)
                    time.sleep(pause_after(look_s, POLL_INTERVAL_S))
                    looked = time.monotonic()
                    standing = account.account(database, submission_id)
                    look_s = time.monotonic() - looked
                show_standing(standing)
        except KeyboardInterrupt:
            timeout_s = settings.drain_timeout_s
            click.echo(f"stopping: what is in hand may finish (up to {timeout_s:g} s); Ctrl-C again stops at once.")
            raise


def _write(request: RunRequest, report: SubmitReport, database: Engine, started: float) -> RunOutcome:
    older_path = write_results(database, report.submission_id, request.out)
    standing = account.account(database, report.submission_id)
    audit.record(database, audit.Entry(audit.Action.EXPORT, report.submission_id, {"rows": standing.submitted}))
    num_to_review = account.count_to_review(database, report.submission_id)
    return RunOutcome(report, standing, num_to_review, time.monotonic() - started, older_path)


def _worker_log(settings: Settings) -> Path:
    return Path(settings.log_file) if settings.log_file else settings.data_dir / "worker.log"


def _check_broker(broker: Broker, settings: Settings) -> None:
    try:
        broker.check()
    except BrokerError:
        raise BrokerError(
            "the embedded Valkey server is gone; what was finished is kept. Run the same command again to go on. "
            f"What the server said is in {broker_log(settings.data_dir)}."
        ) from None


def _show_interrupted(request: RunRequest, database: Engine, report: SubmitReport | None) -> None:
    if report is None:
        click.echo("\nstopped while the source was read; what was read is kept.")
    else:
        standing = account.account(database, report.submission_id)
        click.echo(
            f"\nstopped: {standing.finished} of {standing.submitted} are finished and kept, {standing.open} wait."
        )
    click.echo(f"Go on with the same command: {request.command}")


def _show(request: RunRequest, outcome: RunOutcome, settings: Settings, database: Engine) -> None:
    """The account of the run, on one screen."""
    submission_id = outcome.report.submission_id
    show.summaries(account.results(database, submission_id), outcome.standing.done, NUM_SHOWN)
    show.console.print(_account_line(outcome))
    show.failures(database, submission_id)
    places = {
        "summaries": request.out,
        "rejected": request.rejected_path if outcome.report.num_rejected else None,
        "database": show_url(database.url),
        "worker log": _worker_log(settings),
    }
    for what, where in places.items():
        if where is not None:
            show.console.print(Text(f"{what:<10} {where}"), soft_wrap=True)
    if outcome.older_path is not None:
        show.console.print(Text(f"the older {request.out} is kept as {outcome.older_path}"), soft_wrap=True)


def _to_json(request: RunRequest, outcome: RunOutcome, database: Engine) -> as_json.Json:
    number = outcome.report.submission_id
    standings = read_standings(database, [number])
    return {
        "source": as_json.submitted(request.source, outcome.report, str(request.rejected_path)),
        "submission": as_json.submission(standings.submissions[0]),
        "failures": as_json.failure_counts(failures.counts(database, number)),
        "results_file": str(request.out),
        "elapsed_s": round(outcome.elapsed_s, 3),
        "exit_code": outcome.exit_code,
    }


def _account_line(outcome: RunOutcome) -> str:
    standing = outcome.standing
    review = f" (of which {outcome.num_to_review} need review)" if outcome.num_to_review else ""
    return (
        f"[bold green]{standing.done} done[/]{review}, {standing.failed} failed, {standing.cancelled} cancelled, "
        f"{standing.insufficient} with nothing to summarize, {outcome.report.num_rejected} rejected, "
        f"in {outcome.elapsed_s:.0f} s"
    )
