"""The commands of a night: submit, run, export, resummarize, db. Thin: each calls its module."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
from sqlalchemy import Engine

from aftercall import schema
from aftercall.broker import Broker
from aftercall.database import connect, show_url
from aftercall.errors import EXIT_SOME_REJECTED, AftercallError, BrokerError, DatabaseError, explain_file
from aftercall.ledger import control
from aftercall.settings import Settings, load_settings
from aftercall.sweep import Sweeper
from producer import advice, show
from producer.output import STDOUT
from producer.source import SourceOptions, open_source, parse_mapping
from producer.submit import SubmitReport, dry_run
from producer.submit import submit as submit_source

Command = TypeVar("Command", bound=Callable[..., Any])

#: A file that a command writes.
OUT = click.Path(dir_okay=False, path_type=Path)


@dataclass(frozen=True, slots=True)
class Services:
    """What a command works with."""

    settings: Settings
    database: Engine
    broker: Broker
    sweeper: Sweeper


@contextmanager
def open_services() -> Iterator[Services]:
    """Settings read, database reached and of the right schema; Redis is reached when first used.

    Raises SettingsError or DatabaseError; a database that goes away later is a DatabaseError too.
    """
    settings = load_settings()
    with schema.open_ledger(settings) as database, closing(Broker(settings)) as broker:
        yield Services(settings, database, broker, Sweeper(database, broker, settings))


def reaches_redis(services: Services) -> bool:
    """Whether what waits can be sent now. Where no Redis is set up, that is no error: who does it instead is said.

    Raises BrokerError if the Redis that was set up cannot be reached.
    """
    try:
        services.broker.check()
    except BrokerError:
        if not advice.is_one_machine(services.settings):
            raise
        click.echo(f"no Redis is set up here: {advice.RUN} does what waits")
        return False
    return True


def source_options(command: Command) -> Command:
    """The options that say how a source is to be read."""
    for option in (
        click.option("--delimiter", help="Cell delimiter; otherwise found out from the header."),
        click.option("--encoding", help="Text encoding; otherwise found out from the bytes."),
        click.option("--map", "mapping", metavar="FIELD=COLUMN,…", help="Which column is which, for unknown headers."),
    ):
        command = option(command)
    return command


def read_options(mapping: str | None, encoding: str | None, delimiter: str | None) -> SourceOptions:
    """The options as the source takes them."""
    fields = parse_mapping(mapping) if mapping else {}
    return SourceOptions(fields, encoding, delimiter, load_settings().max_conversation_chars)


def rejected_path(source: str) -> Path:
    """Where the rejected rows of a source go: beside it, or here if its folder takes no files."""
    beside = Path("stdin.rejected.csv" if source == "-" else f"{source}.rejected.csv")
    return beside if os.access(beside.parent, os.W_OK) else Path(beside.name)


@click.command()
@click.argument("sources", nargs=-1, required=True)
@click.option("--dry-run", "is_dry_run", is_flag=True, help="Only say what would be submitted and rejected.")
@source_options
def submit(
    sources: tuple[str, ...], is_dry_run: bool, mapping: str | None, encoding: str | None, delimiter: str | None
) -> int:
    """Clean the conversations of SOURCES (CSV or JSON Lines, .gz too, - for stdin) and queue them.

    Submitting a source again adds nothing; an overlapping one adds what is new. Rejected rows go to
    SOURCE.rejected.csv with line and reason.
    """
    options = read_options(mapping, encoding, delimiter)
    if is_dry_run:
        return _each(sources, lambda source: _dry_run(source, options))
    with open_services() as services:
        return _each(sources, lambda source: _submit(source, options, services))


def _each(sources: tuple[str, ...], submit_one: Callable[[str], SubmitReport]) -> int:
    """Every source, whatever is wrong with another. Returns the first problem's exit code.

    Raises DatabaseError if the database is away: that stops them all.
    """
    codes, has_rejected = [], False
    for number, source in enumerate(sources):
        try:
            has_rejected |= submit_one(source).num_rejected > 0
        except DatabaseError as error:
            unread = ", ".join(sources[number:])
            raise type(error)(f"{error} Not read to the end: {unread}.") from None
        except (AftercallError, OSError) as error:
            problem = explain_file(error) if isinstance(error, OSError) else error
            show.problem(problem)
            codes.append(problem.exit_code)
    return next(iter(codes), EXIT_SOME_REJECTED if has_rejected else 0)


def _dry_run(source: str, options: SourceOptions) -> SubmitReport:
    with open_source(source, options) as opened:
        report = dry_run(opened, rejected_path(source))
        show.submitted(opened, report, rejected_path(source), is_dry_run=True)
    return report


def _submit(source: str, options: SourceOptions, services: Services) -> SubmitReport:
    with open_source(source, options) as opened, show.submitting(opened.name) as on_progress:
        report = submit_source(opened, services.database, services.sweeper, rejected_path(source), on_progress)
    show.submitted(opened, report, rejected_path(source), is_dry_run=False)
    if report.broker_error is not None:
        raise BrokerError(
            f"submission {report.submission_id} is committed, but not all is sent: {report.broker_error}"
            + (f" {advice.RUN_NEEDS_NO_REDIS}" if advice.is_one_machine(services.settings) else "")
        )
    return report


@click.command()
@click.argument("source")
@click.option("--out", type=OUT, help="Results file; otherwise SOURCE.summaries.csv here.")
@source_options
def run(source: str, out: Path | None, mapping: str | None, encoding: str | None, delimiter: str | None) -> int:
    """Summarize SOURCE on this machine, in one command: queue, database and worker are started and stopped.

    Stopped or killed, the same command goes on where it was.
    """
    from producer.night import run_night

    return run_night(source, out, rejected_path(source), read_options(mapping, encoding, delimiter))


@click.command()
@click.argument("submission", type=int)
@click.option("--format", "format_", type=click.Choice(["csv", "jsonl"]), default="csv", show_default=True)
@click.option("--out", type=OUT, required=True, help="File to write; - for stdout.")
@click.option("--provenance", "with_provenance", is_flag=True, help="Also what made each summary: model, adapter, …")
def export(submission: int, format_: str, out: Path, with_provenance: bool) -> None:
    """Write what became of each conversation of SUBMISSION, in the order of its source."""
    from producer.export import export as export_to

    with open_services() as services:
        num_lines = export_to(
            services.database, submission, out, "csv" if format_ == "csv" else "jsonl", with_provenance=with_provenance
        )
    click.echo(f"{num_lines} conversations written to {out}", err=out == STDOUT)


@click.command()
@click.option("--adapter", required=True, metavar="DIGEST", help="The adapter whose summaries are to be written anew.")
@click.option("--yes", "is_agreed", is_flag=True, help="Do not ask.")
def resummarize(adapter: str, is_agreed: bool) -> None:
    """Do again what an old adapter wrote, with the one that workers serve now; the old summaries are kept beside.

    Says first how much that is.
    """
    with open_services() as services:
        num_jobs = control.count_written_by(services.database, adapter)
        click.echo(f"{num_jobs} conversations have their newest summary from adapter {adapter}")
        if num_jobs and (is_agreed or click.confirm("summarize them again?")):
            control.redo(services.database, adapter)
            click.echo(f"{num_jobs} conversations queued again")
            if reaches_redis(services):
                click.echo(f"{services.sweeper.top_up()} conversations sent")


@click.group()
def db() -> None:
    """Look after the database's schema."""


@db.command()
def upgrade() -> None:
    """Create the tables, or bring them up to this version's schema."""
    database = connect(load_settings().ledger_url)
    schema.upgrade(database)
    click.echo(f"{show_url(database.url)} is up to date")
