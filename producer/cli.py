"""The commands submit, run, resummarize and db. Thin: each calls its module."""

import signal
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aftercall import schema
from aftercall.command_groups import SuggestingGroup
from aftercall.database import show_url
from aftercall.errors import EXIT_SOME_REJECTED, AftercallError, BrokerError, DatabaseError, explain_file
from aftercall.ledger import adapters, control, pause, search
from aftercall.models import Priority
from aftercall.processes import handling_signals
from aftercall.settings import load_settings
from aftercall.terminal import show_error
from producer import advice, as_json, show
from producer.dry_run import dry_run
from producer.free_disk import disk_floor
from producer.options import OUT, json_option, priority_option
from producer.services import Services, confirm, open_services, reaches_redis
from producer.source import OwnFileError, SourceOptions, open_source, readable
from producer.source_options import source_options
from producer.source_paths import refuse_leftover, rejected_path, rejected_paths
from producer.submit import SubmitOptions, SubmitReport
from producer.submit import submit as submit_source

if TYPE_CHECKING:
    from producer.wait import Waited


@click.command()
@click.argument("sources", nargs=-1, required=True)
@click.option("--dry-run", "is_dry_run", is_flag=True, help="Queue nothing: say what would be, write rejected rows.")
@click.option("--wait", "is_waiting", is_flag=True, help="Then wait until all of it is done.")
@click.option("--adapter", metavar="DIGEST|none", help="Summarize with this adapter, or with the base model alone.")
@priority_option
@json_option
@source_options
def submit(
    sources: tuple[str, ...],
    is_dry_run: bool,
    is_waiting: bool,
    adapter: str | None,
    priority: Priority | None,
    is_json: bool,
    options: SourceOptions,
) -> int:
    """Clean the conversations of SOURCES (exports of help desks: CSV, JSON, Excel, ZIP …; - for stdin) and queue them.

    Submitting a source again adds nothing; an overlapping one adds what is new. Rejected rows go to
    SOURCE.rejected.csv with line and reason.
    """
    if is_dry_run and is_waiting:
        raise click.UsageError("--dry-run queues nothing that --wait could wait for.")
    told: list[as_json.Json] = []
    waited = None
    with ExitStack() as stack:
        stdout = stack.enter_context(as_json.keeping_stdout(is_json))
        # As Ctrl-C does, in order: what was piped in lies in a temporary file.
        stack.enter_context(handling_signals(signal.default_int_handler, signal.SIGTERM, signal.SIGHUP))
        if is_dry_run:
            code = _each(sources, lambda source, path: _dry_run(source, path, options), told)
        else:
            services = stack.enter_context(open_services())
            if adapter is not None:
                options = replace(options, adapter_digest=adapters.find_asked(services.database, adapter))
            how = SubmitOptions(disk_floor(services.settings), priority)
            code = _each(sources, lambda source, path: _submit(source, path, options, how, services), told)
            show.pause(pause.current(services.database))
            waited = _wait(services, told) if is_waiting else None
            code = worse(code, waited.exit_code if waited else 0)
        if is_json:
            status = as_json.status(waited.standings) if waited else None
            content = {"dry_run": is_dry_run, "sources": told, "status": status, "exit_code": code}
            as_json.write("submit", content, stdout)
    return code


def _wait(services: Services, told: list[as_json.Json]) -> "Waited | None":
    """Wait for what was submitted, until the deadline that is set."""
    from producer import wait as waiting

    numbers = [each["submission"] for each in told if each["submission"]]
    if not numbers:
        return None
    waited = waiting.wait(services.database, numbers, waiting.make_limits(None, services.settings.deadline))
    waiting.tell(waited)
    return waited


def worse(submitted: int, waited: int) -> int:
    """The exit code of both: a source that can't be read, then what became of the others, then rejected rows."""
    return submitted if submitted not in (0, EXIT_SOME_REJECTED) else waited or submitted


def _each(sources: tuple[str, ...], submit_one: Callable[[str, Path], SubmitReport], told: list[as_json.Json]) -> int:
    """Every source, whatever is wrong with another; what became of each is added to `told`, for --json.

    Returns the first problem's exit code.

    What aftercall wrote is passed over; if there is nothing else, that is the problem.

    Raises DatabaseError if the database is away, which stops them all, and OwnFileError.
    """
    paths = rejected_paths(sources)
    codes: list[int] = []
    reports: list[SubmitReport] = []
    passed_over: list[OwnFileError] = []
    for number, source in enumerate(sources):
        try:
            refuse_leftover(source, sources, paths)
            report = submit_one(source, paths[source])
            reports.append(report)
            told.append(as_json.submitted(source, report, str(paths[source])))
            if report.broker_error is not None:
                codes.append(_tell(report.broker_error))
                told[-1]["error"] = as_json.problem(codes[-1], str(report.broker_error))
        except OwnFileError as error:
            passed_over.append(error)
            told.append(as_json.not_submitted(source, 0, str(error)))
        except DatabaseError as error:
            unread = ", ".join(map(readable, sources[number:]))
            raise type(error)(f"{error} Not read to the end: {unread}.") from None
        except (AftercallError, OSError) as error:
            codes.append(_tell(error))
            told.append(as_json.not_submitted(source, codes[-1], str(error)))
    if passed_over and not (codes or reports):
        raise passed_over[0]
    for refused in passed_over:
        show.passed_over(refused)
    return next(iter(codes), EXIT_SOME_REJECTED if any(report.num_rejected for report in reports) else 0)


def _tell(error: AftercallError | OSError) -> int:
    """Say what is wrong with one of several sources, while the others go on. Returns its exit code."""
    if isinstance(error, OSError):
        # One without a number is not the system's but a library's, about no file of ours.
        if error.errno is None:
            raise error
        error = explain_file(error)
    show_error(error)
    return error.exit_code


def _dry_run(source: str, path: Path, options: SourceOptions) -> SubmitReport:
    with open_source(source, options) as opened:
        with show.submitting(opened.name) as on_progress:
            report = dry_run(opened, path, on_progress)
        show.submitted(opened, report, path, is_dry_run=True)
    return report


def _submit(source: str, path: Path, options: SourceOptions, how: SubmitOptions, services: Services) -> SubmitReport:
    with open_source(source, options) as opened, show.submitting(opened.name) as on_progress:
        report = submit_source(opened, services.database, services.sweeper, path, on_progress, how)
    show.submitted(opened, report, path, is_dry_run=False)
    if report.broker_error is not None:
        report.broker_error = BrokerError(
            f"submission {report.submission_id} is committed, but not all is sent: {report.broker_error}"
            + (f" {advice.RUN_NEEDS_NO_REDIS}" if advice.is_one_machine(services.settings) else "")
        )
    return report


def _only_one(context: click.Context, parameter: click.Parameter, sources: tuple[str, ...]) -> str:
    if len(sources) > 1:
        raise click.UsageError("run takes one source; `aftercall submit` takes several.")
    return sources[0]


@click.command()
@click.argument("source", nargs=-1, required=True, metavar="SOURCE", callback=_only_one)
@click.option("--out", type=OUT, help="Results file; otherwise SOURCE.summaries.csv here.")
@priority_option
@json_option
@source_options
def run(source: str, out: Path | None, priority: Priority | None, is_json: bool, options: SourceOptions) -> int:
    """Summarize SOURCE on this machine, in one command: queue, database and worker are started and stopped.

    Stopped or killed, the same command goes on where it was.
    """
    from producer.results import results_path
    from producer.run import RunRequest, run_source

    request = RunRequest(source, options, out or results_path(source), rejected_path(source), priority)
    with as_json.keeping_stdout(is_json) as stdout:
        return run_source(request, stdout if is_json else None)


@click.command()
@click.option("--adapter", required=True, metavar="DIGEST", help="The adapter whose summaries are to be written anew.")
@click.option("--yes", "is_agreed", is_flag=True, help="Do not ask.")
def resummarize(adapter: str, is_agreed: bool) -> None:
    """Do again what an old adapter wrote, with the one that workers serve now; the old summaries are kept beside.

    Says first how much that is.
    """
    with open_services(may_create=False) as services:
        adapter = adapters.find_writer(services.database, adapter)
        num_jobs = control.count_written_by(services.database, adapter)
        click.echo(f"{num_jobs} conversations have their newest summary from adapter {adapter}")
        if num_jobs and (is_agreed or confirm("summarize them again?", "nothing is queued")):
            control.redo(services.database, adapter)
            click.echo(f"{num_jobs} conversations queued again")
            if reaches_redis(services):
                click.echo(f"{services.sweeper.top_up()} conversations sent")
            show.pause(pause.current(services.database))


@click.group(cls=SuggestingGroup)
def db() -> None:
    """Look after the database's schema."""


@db.command()
def upgrade() -> None:
    """Create the tables, or bring them up to this version's schema."""
    database = schema.connect_ledger(load_settings())
    schema.upgrade(database)
    click.echo(f"{show_url(database.url)} is up to date")


@db.command()
@click.option("--drop", "is_drop", is_flag=True, help="Remove it.")
def index(is_drop: bool) -> None:
    """Build the full-text index that `aftercall web` searches, or the rest of it. The database then keeps it.

    Work can go on meanwhile. docs/web.md says what the index costs.
    """
    with open_services(may_create=False) as services:
        if is_drop:
            search.drop(services.database)
            click.echo("the full-text index is removed")
            return
        with show.indexing() as on_progress:
            search.build(services.database, on_progress)
        click.echo("the full-text index is built")
