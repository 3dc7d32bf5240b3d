"""The commands wait, report, drift, night and metrics. Each only calls its module."""

from dataclasses import dataclass
from pathlib import Path

import click

from aftercall.errors import EXIT_DRIFT
from aftercall.models import Priority
from producer import as_json
from producer.options import (
    OUT,
    choose_one,
    choose_several,
    deadline_option,
    json_option,
    latest_option,
    priority_option,
    timeout_option,
)
from producer.services import open_services
from producer.source import SourceOptions
from producer.source_options import source_options, to_arguments
from producer.when import check_clock, parse_duration

FOLDER = click.Path(file_okay=False, path_type=Path)


def _age(context: click.Context, parameter: click.Parameter, words: str | None) -> str | None:
    """The words, once they are known to be an age; a unit repeats them."""
    from producer.purge import parse_age

    if words is not None:
        parse_age(words)
    return words


@click.command()
@click.argument("submissions", type=int, nargs=-1)
@latest_option
@timeout_option
@deadline_option
@json_option
def wait(
    submissions: tuple[int, ...], is_latest: bool, timeout_s: float | None, deadline: str | None, is_json: bool
) -> int:
    """Wait until SUBMISSIONS, or all, have ended. Exit code 0: all done, 10: some failed, 15: time is up."""
    from producer import wait as waiting

    with as_json.keeping_stdout(is_json) as stdout, open_services(may_create=False) as services:
        chosen = choose_several(services.database, submissions, is_latest)
        limits = waiting.make_limits(timeout_s, deadline or services.settings.deadline)
        waited = waiting.wait(services.database, chosen, limits)
        waiting.tell(waited)
    if is_json:
        content = as_json.status(waited.standings) | {"time_up": waited.is_time_up, "exit_code": waited.exit_code}
        as_json.write("wait", content, stdout)
    return waited.exit_code


@click.command()
@click.argument("submission", type=int, required=False)
@latest_option
@click.option("--out", type=OUT, required=True, help="The HTML file to write.")
@deadline_option
def report(submission: int | None, is_latest: bool, out: Path, deadline: str | None) -> None:
    """Write one HTML page about SUBMISSION: counts, reasons, throughput, cost, drift, and what to read."""
    from producer.report.gather import gather
    from producer.report.write import write_report

    with open_services(may_create=False) as services:
        number = choose_one(services.database, submission, is_latest)
        settings = services.settings
        gathered = gather(
            services.database,
            [number],
            deadline=deadline or settings.deadline,
            gpu_hour_cost=settings.gpu_hour_cost,
        )
        write_report(gathered, out)
    click.echo(f"report on submission {number} written to {out}")


@click.command()
@click.argument("submission", type=int, required=False)
@latest_option
def drift(submission: int | None, is_latest: bool) -> int:
    """Say whether the night of SUBMISSION is like the last 28. Exit code 0: it is, or there are too few; 23: it is not.

    Compared are the length, the words and the language of conversations, the length and the flags of summaries, and the
    mix of contact reasons and of reasons for a review.
    """
    from producer.drift.measure import measure

    with open_services(may_create=False) as services:
        found = measure(services.database, choose_one(services.database, submission, is_latest))
    click.echo(found.sentence)
    return EXIT_DRIFT if found.drifted else 0


@click.command()
@click.option("--inbox", type=FOLDER, required=True, help="Where the exports arrive. Files still written are left.")
@click.option("--outbox", type=FOLDER, required=True, help="Where results, rejected rows and the report go.")
@click.option("--archive", type=FOLDER, help="Where a source goes when its results are written.")
@deadline_option
@click.option("--purge-older-than", "purge_age", callback=_age, metavar="AGE", help="Then purge: 12h, 30d or 4w.")
@click.option(
    "--settle", "settle", default="30s", show_default=True, help="A file unchanged for this long is complete."
)
@click.option("--install-timer", is_flag=True, help="Do nothing but print a systemd unit and timer for this command.")
@click.option("--at", default="23:00", show_default=True, help="With --install-timer: when to start.")
@priority_option
@json_option
@source_options
def night(
    inbox: Path,
    outbox: Path,
    archive: Path | None,
    deadline: str | None,
    purge_age: str | None,
    settle: str,
    install_timer: bool,
    at: str,
    priority: Priority | None,
    is_json: bool,
    options: SourceOptions,
) -> int:
    """Do a night's work: submit what is new in the inbox, wait, write results and a report, archive, purge.

    Run it again after any end. Exit code 0, else the worst of: 15 time is up, 3 a file can't be read, 10 some failed,
    4 rows rejected; 16 another night is running.
    """
    if install_timer:
        from producer.night.units import UnitOptions, show_units

        given = {
            "--inbox": inbox.absolute(),
            "--outbox": outbox.absolute(),
            "--archive": archive and archive.absolute(),
            "--deadline": deadline,
            "--purge-older-than": purge_age,
            "--priority": None if priority is None else priority.name.lower(),
        }
        arguments = tuple(str(word) for option, value in given.items() if value for word in (option, value))
        words = (*arguments, "--settle", settle, *to_arguments(options))
        click.echo(show_units(UnitOptions(words, check_clock(at))), nl=False)
        return 0
    choices = Choices(deadline, purge_age, parse_duration(settle), priority, options)
    return _night(inbox, outbox, archive, choices, is_json=is_json)


@dataclass(frozen=True, slots=True)
class Choices:
    """Options of `night` that are not folders."""

    deadline: str | None
    purge_age: str | None
    settle_s: float
    priority: Priority | None
    options: SourceOptions


def _night(inbox: Path, outbox: Path, archive: Path | None, choices: Choices, *, is_json: bool) -> int:
    from producer.night.nightly import NightRequest, run_night
    from producer.night.to_json import night_to_json
    from producer.purge import parse_age

    with as_json.keeping_stdout(is_json) as stdout, open_services() as services:
        settings = services.settings
        request = NightRequest(
            inbox=inbox,
            outbox=outbox,
            archive=archive,
            deadline=choices.deadline or settings.deadline,
            purge_age_s=parse_age(choices.purge_age) if choices.purge_age else None,
            settle_s=choices.settle_s,
            options=choices.options,
            priority=choices.priority,
        )
        finished = run_night(request, services)
    if is_json:
        as_json.write("night", night_to_json(finished), stdout)
    return finished.exit_code


@click.command()
@click.option("--textfile", "out", type=OUT, required=True, help="File for node_exporter's textfile collector (.prom).")
@deadline_option
def metrics(out: Path, deadline: str | None) -> None:
    """Write metrics for Prometheus: jobs by state, ages, throughput, workers, queue, spool, deadline slack."""
    from producer.metrics import write_metrics

    with open_services(may_create=False) as services:
        write_metrics(services, out, deadline or services.settings.deadline)
