"""`aftercall run`: the whole night on one machine, from a source to its summaries, in one command.

Starts what is needed, and stops what it started. Knows the worker only as a process.
"""

import shlex
import signal
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import click
from rich.text import Text
from sqlalchemy import Engine

from aftercall import schema
from aftercall.broker import Broker
from aftercall.database import show_url
from aftercall.embedded import broker_log, check_worker, embedded_broker, embedded_worker
from aftercall.errors import EXIT_INTERRUPTED, EXIT_SOME_FAILED, EXIT_SOME_REJECTED, AftercallError, BrokerError
from aftercall.ledger import account
from aftercall.ledger.account import Account
from aftercall.processes import handling_signals
from aftercall.settings import Settings, load_settings
from aftercall.sweep import Sweeper
from producer import show
from producer.export import RESULT_COLUMNS
from producer.output import STDOUT, check_out
from producer.progress import showing_progress
from producer.results import results_path, write_results
from producer.source import SourceOptions, open_source
from producer.source_options import to_arguments
from producer.submit import SubmitReport, submit

POLL_INTERVAL_S = 0.5
NUM_SHOWN = 5

#: Some 500 conversations; no engine is kept waiting by a few more messages for these.
SMALL_SOURCE_BYTES = 500_000
SMALL_CHUNK_SIZE = 8


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person asked for: a source, how to read it, and where what comes of it goes."""

    source: str
    options: SourceOptions
    out: Path
    rejected_path: Path

    @property
    def command(self) -> str:
        """The command line that asks for the same once more."""
        out = [] if self.out == results_path(self.source) else ["--out", str(self.out)]
        return shlex.join(["aftercall", "run", self.source, *out, *to_arguments(self.options)])


def run_night(source: str, out: Path | None, rejected_path: Path, options: SourceOptions) -> int:
    """Summarize a source; returns the exit code.

    Raises AftercallError, such as SourceError or ModelError, when the night cannot begin or go on.
    """
    settings = load_settings()
    out = out or results_path(source)
    if out == STDOUT:
        raise AftercallError("the account of the night goes to stdout: name a file for the summaries.")
    check_out(out, RESULT_COLUMNS)
    with schema.open_ledger(settings, with_upgrade=True) as database:
        return _run(Asked(source, options, out, rejected_path), settings, database)


def _run(asked: Asked, settings: Settings, database: Engine) -> int:
    started = time.monotonic()
    report = None
    try:
        with handling_signals(_interrupt, signal.SIGTERM, signal.SIGHUP), ExitStack() as stack:
            url = stack.enter_context(embedded_broker(settings.data_dir))
            chunk_size = _chunk_size(asked.source, settings)
            settings = settings.model_copy(update={"redis_url": url, "chunk_size": chunk_size})
            report = _submit(asked, settings, database)
            if account.account(database, report.submission_id).open:
                _work(settings, database, report.submission_id, stack)
    except KeyboardInterrupt:
        # What was in hand may have been the last.
        if report is None or account.account(database, report.submission_id).open:
            _show_interrupted(asked, database, report)
            return EXIT_INTERRUPTED
    older_path = write_results(database, report.submission_id, asked.out)
    code = _show_account(asked, report, settings, database, time.monotonic() - started)
    if older_path is not None:
        show.console.print(Text(f"the older {asked.out} is kept as {older_path}"), soft_wrap=True)
    return code


def _chunk_size(source: str, settings: Settings) -> int:
    """Small chunks for a small source, so that its bar moves; what a worker finishes, it writes by the chunk."""
    is_small = source != "-" and Path(source).is_file() and Path(source).stat().st_size < SMALL_SOURCE_BYTES
    return min(SMALL_CHUNK_SIZE, settings.chunk_size) if is_small else settings.chunk_size


def _interrupt(number: int, frame: FrameType | None) -> None:
    """SIGTERM and a closed terminal stop the night as Ctrl-C does: in order, with nothing left running."""
    # Shell and terminal may both tell of a hang-up, and only a person's second Ctrl-C is meant to hurry.
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _submit(asked: Asked, settings: Settings, database: Engine) -> SubmitReport:
    with closing(Broker(settings)) as broker, open_source(asked.source, asked.options) as opened:
        with show.submitting(opened.name) as on_progress:
            report = submit(opened, database, Sweeper(database, broker, settings), asked.rejected_path, on_progress)
        show.submitted(opened, report, asked.rejected_path, is_dry_run=False)
    return report


def _work(settings: Settings, database: Engine, submission_id: int, stack: ExitStack) -> None:
    """Run a worker until nothing is open, with a progress bar.

    Raises ModelError if the worker ends before its work does.
    """
    log = _worker_log(settings)
    broker = stack.enter_context(closing(Broker(settings)))
    worker = stack.enter_context(embedded_worker(settings, log))
    try:
        standing = account.account(database, submission_id)
        with showing_progress(standing, settings) as show_standing:
            while standing.open:
                check_worker(worker, log)
                _check_broker(broker, settings)
                show_standing(standing)
                time.sleep(POLL_INTERVAL_S)
                standing = account.account(database, submission_id)
            show_standing(standing)
    except KeyboardInterrupt:
        click.echo(
            f"stopping: what is in hand may finish (up to {settings.drain_timeout_s:g} s); Ctrl-C again stops at once."
        )
        raise


def _worker_log(settings: Settings) -> Path:
    return settings.data_dir / "worker.log"


def _check_broker(broker: Broker, settings: Settings) -> None:
    try:
        broker.check()
    except BrokerError:
        raise BrokerError(
            "the embedded Valkey server is gone; what was finished is kept. Run the same command again to go on. "
            f"What the server said is in {broker_log(settings.data_dir)}."
        ) from None


def _show_interrupted(asked: Asked, database: Engine, report: SubmitReport | None) -> None:
    if report is None:
        click.echo("\nstopped while the source was read; what was read is kept.")
    else:
        standing = account.account(database, report.submission_id)
        click.echo(
            f"\nstopped: {standing.finished} of {standing.submitted} are finished and kept, {standing.open} wait."
        )
    click.echo(f"Go on with the same command: {asked.command}")


def _show_account(asked: Asked, report: SubmitReport, settings: Settings, database: Engine, elapsed_s: float) -> int:
    """The one-screen account; returns the exit code that tells what a script needs to know."""
    standing = account.account(database, report.submission_id)
    show.summaries(account.results(database, report.submission_id), standing.done, NUM_SHOWN)
    show.console.print(_account_line(standing, report, elapsed_s))
    show.failures(database, report.submission_id)
    places = {
        "summaries": asked.out,
        "rejected": asked.rejected_path if report.num_rejected else None,
        "database": show_url(database.url),
        "worker log": _worker_log(settings),
    }
    for what, where in places.items():
        if where is not None:
            show.console.print(Text(f"{what:<10} {where}"), soft_wrap=True)
    if standing.failed:
        return EXIT_SOME_FAILED
    return EXIT_SOME_REJECTED if report.num_rejected else 0


def _account_line(standing: Account, report: SubmitReport, elapsed_s: float) -> str:
    return (
        f"[bold green]{standing.done} done[/], {standing.failed} failed, {standing.cancelled} cancelled, "
        f"{standing.insufficient} with nothing to summarize, {report.num_rejected} rejected, in {elapsed_s:.0f} s"
    )
