"""What people see in the terminal while a source is submitted and when its night is over. Changes nothing."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text
from sqlalchemy import Engine

from aftercall.errors import AftercallError
from aftercall.ledger import failures as ledger_failures
from aftercall.ledger.account import Result
from producer.doctor.finding import Finding, Level
from producer.source import Source
from producer.submit import SubmitReport

console = Console(highlight=False)

LEVEL_STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.ERROR: "bold red"}


@contextmanager
def submitting(name: str) -> Iterator[Callable[[SubmitReport], None]]:
    """A line that counts while a source is read; yields what to call with each step's report."""
    started = time.monotonic()
    # As Text, here and below: a name may hold what the terminal library takes for markup.
    with console.status(Text(f"reading {name}")) as line:

        def on_progress(report: SubmitReport) -> None:
            rate = report.num_read / (time.monotonic() - started)
            line.update(Text(f"reading {name}: {report.num_read:,} conversations, {rate:,.0f}/s"))

        yield on_progress


def submitted(source: Source, report: SubmitReport, rejected_path: Path, *, is_dry_run: bool) -> None:
    """What became of a source, with the first rejected lines and why."""
    head = "would be submitted" if is_dry_run else f"submission {report.submission_id}"
    console.print(Text.assemble((source.name, "bold"), f" ({source.shape}, {source.encoding}): {head}"))
    console.print(f"  {report.num_read:,} conversations read: {', '.join(_parts(report, is_dry_run))}")
    if report.num_rejected:
        is_written = report.older_rejected_path != rejected_path
        where = f"all of them in {rejected_path}" if is_written else "the first of them"
        console.print(Text(f"  {report.num_rejected:,} rejected, {where}:", style="yellow"), soft_wrap=True)
        for example in report.examples:
            console.print(Text(f"    line {example.line}: {example.reason}", style="yellow"), soft_wrap=True)
    if report.older_rejected_path is not None:
        console.print(Text(f"  {_older(rejected_path, report.older_rejected_path)}"), soft_wrap=True)


def _older(rejected_path: Path, older_path: Path) -> str:
    if older_path == rejected_path:
        return f"{rejected_path} is older: a dry run leaves it as it is"
    return f"the older {rejected_path} is kept as {older_path}"


def problem(error: AftercallError) -> None:
    """What is wrong with one of several, while the others go on."""
    click.secho(f"aftercall: {error}", fg="red", err=True)


def _parts(report: SubmitReport, is_dry_run: bool) -> list[str]:
    """What the conversations read came to; what is zero is left out, but for what is new."""
    added = report.num_read if is_dry_run else report.num_added
    parts = {
        "repeated or there before": report.num_read - added,
        "of the new ones with a text that was known already": report.num_known,
        "with nothing to summarize": report.num_insufficient,
    }
    new = "to submit" if is_dry_run else "new to the submission"
    return [f"{added:,} {new}", *(f"{count:,} {what}" for what, count in parts.items() if count)]


def summaries(results: Iterable[Result], max_rows: int) -> None:
    """The first summaries as a table."""
    table = Table("id", "summary", header_style="bold", show_lines=True)
    written = ((result.external_id, result.summary.text) for result in results if result.summary is not None)
    for external_id, text in islice(written, max_rows):
        table.add_row(Text(external_id), Text(text))
    if table.row_count:
        console.print(table)


def failures(database: Engine, submission_id: int) -> None:
    """Why conversations failed, a line a code."""
    for failure in ledger_failures.counts(database, submission_id):
        console.print(
            Text(f"  {failure.num_conversations:,} failed with {failure.code}: {failure.example}", style="yellow"),
            soft_wrap=True,
        )


def finding(found: Finding) -> None:
    """A line of the doctor's, its sentence beside how bad it is and what it is about."""
    line = Table.grid(padding=(0, 2, 0, 0))
    line.add_column(width=max(map(len, Level)), style=LEVEL_STYLES[found.level])
    line.add_column(width=8)
    line.add_column(overflow="fold")
    line.add_row(found.level, found.subject, Text(found.sentence))
    console.print(line)
