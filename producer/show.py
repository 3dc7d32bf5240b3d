"""What people see in the terminal while a source is submitted and when its night is over. Changes nothing."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text
from sqlalchemy import Engine

from aftercall.ledger import failures as ledger_failures
from aftercall.ledger.account import Result
from aftercall.ledger.pause import PauseRecord
from aftercall.ledger.work import SummaryRecord
from aftercall.masking import printable
from aftercall.terminal import say
from producer.advice import pause_sentence
from producer.doctor.finding import Finding, Level
from producer.source import OwnFileError, Source, readable
from producer.submit import SubmitReport

console = Console(highlight=False)

#: Files in a source that were passed over, and are named.
MAX_PASSED_OVER = 5

LEVEL_STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.ERROR: "bold red"}


@contextmanager
def submitting(name: str) -> Iterator[Callable[[SubmitReport], None]]:
    """A line that counts while a source is read; yields what to call with each step's report."""
    started = time.monotonic()
    # As Text, here and below: a name may hold what the terminal library takes for markup.
    with console.status(Text(f"reading {printable(name)}")) as line:

        def on_progress(report: SubmitReport) -> None:
            rate = (report.num_read + report.num_rejected) / (time.monotonic() - started)
            rejected = f"{report.num_rejected:,} rejected, " if report.num_rejected else ""
            line.update(Text(f"reading {printable(name)}: {report.num_read:,} conversations, {rejected}{rate:,.0f}/s"))

        yield on_progress


@contextmanager
def indexing() -> Iterator[Callable[[str, int], None]]:
    """A line that counts while the full-text index is built; yields what to call with a table and its new rows."""
    counts: Counter[str] = Counter()
    with console.status("indexing") as line:

        def on_progress(table: str, num_rows: int) -> None:
            counts[table] += num_rows
            line.update("indexing: " + ", ".join(f"{count:,} rows of {name}" for name, count in counts.items()))

        yield on_progress


def submitted(source: Source, report: SubmitReport, rejected_path: Path, *, is_dry_run: bool) -> None:
    """What became of a source, with the first rejected lines and why."""
    head = "would be submitted" if is_dry_run else f"submission {report.submission_id}"
    console.print(
        Text.assemble((printable(source.name), "bold"), f" ({source.layout.name}, {source.encoding}): {head}")
    )
    say(f"  {report.num_read:,} conversations read: {_new_and_old(report, is_dry_run)}")
    reading(source)
    if report.num_rejected:
        is_written = report.older_rejected_path != rejected_path
        where = f"all of them in {readable(rejected_path)}" if is_written else "the first of them"
        console.print(Text(f"  {report.num_rejected:,} rejected, {where}:", style="yellow"), soft_wrap=True)
        for example in report.examples:
            say(f"    line {example.line}: {example.reason}", style="yellow")
    if report.older_rejected_path is not None:
        console.print(Text(f"  {_older(rejected_path, report.older_rejected_path)}"), soft_wrap=True)


def reading(source: Source) -> None:
    """How the source was read, where that is more than its layout, and what looks wrong."""
    account = source.account
    if account.dropped:
        say(f"  dropped: {account.dropped_in_words}")
    if unsure := {order: num for order, num in account.orders.items() if order not in ("time", "file")}:
        say(f"  turns in the order of the {', '.join(f'{order}: {num:,}' for order, num in unsure.items())}")
    if account.sides:
        agents = [line.label for line in account.sides if line.side == "agent"]
        say(f"  sides: {len(agents):,} of {len(account.sides):,} speakers are agents: {', '.join(agents[:5])[:200]}")
    for sentence in account.passed_over_in_words[:MAX_PASSED_OVER]:
        say(f"  passed over {sentence}", style="yellow")
    for warning in account.warnings:
        say(f"  warning: {warning}", style="yellow")


def _older(rejected_path: Path, older_path: Path) -> str:
    if older_path == rejected_path:
        return f"{readable(rejected_path)} is older: a dry run leaves it as it is"
    return f"the older {readable(rejected_path)} is kept as {readable(older_path)}"


def _new_and_old(report: SubmitReport, is_dry_run: bool) -> str:
    """What the conversations read came to, in parts that sum up; what is zero is left out, but for what is new."""
    shares = {
        "with a text known before, whose summary is taken over": report.num_known,
        "with nothing to summarize": report.num_insufficient,
    }
    of_these = "; ".join(f"{count:,} {what}" for what, count in shares.items() if count)
    new = f"{report.num_added:,} {'to submit' if is_dry_run else 'new'}"
    num_old = report.num_read - report.num_added
    old = f", {num_old:,} {'repeated' if is_dry_run else 'repeated or there before'}" if num_old else ""
    return f"{new} ({of_these}){old}" if of_these else f"{new}{old}"


def passed_over(error: OwnFileError) -> None:
    """That a file among the sources is none."""
    say(f"passed over {error}")


def summaries(results: Iterable[Result], num_done: int, max_rows: int) -> None:
    """The first of so many summaries as a table."""
    head = f"summary (the first {max_rows} of {num_done:,})" if num_done > max_rows else "summary"
    table = Table("id", head, "review", header_style="bold", show_lines=True)
    written = ((result.external_id, result.summary) for result in results if result.summary is not None)
    for external_id, summary in islice(written, max_rows):
        table.add_row(Text(printable(external_id)), Text(printable(summary.text)), Text(_review(summary)))
    if table.row_count:
        console.print(table)


def _review(summary: SummaryRecord) -> str:
    """Why a person should read it, in a column of a few letters; empty: no need."""
    return "\n".join(json.loads(summary.reasons or "[]")) if summary.needs_review else ""


def failures(database: Engine, submission_id: int) -> None:
    """Why conversations failed, a line a code."""
    for failure in ledger_failures.counts(database, submission_id):
        say(f"  {failure.num_conversations:,} failed with {failure.code}: {failure.example}", style="yellow")


def pause(paused: PauseRecord | None) -> None:
    """That the ledger is paused, if it is."""
    if paused is not None:
        say(pause_sentence(paused), style="yellow")


def finding(found: Finding) -> None:
    """A line of the doctor's, its sentence beside how bad it is and what it is about."""
    line = Table.grid(padding=(0, 2, 0, 0))
    line.add_column(width=max(map(len, Level)), style=LEVEL_STYLES[found.level])
    line.add_column(width=8)
    line.add_column(overflow="fold")
    line.add_row(found.level, found.subject, Text(printable(found.sentence)))
    console.print(line)
