"""What people see in the terminal: progress, accounts, tables. Knows the ledger's account and changes nothing."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text
from sqlalchemy import Engine

from aftercall.ledger import account
from aftercall.ledger.account import Account, Result, SubmissionRecord
from producer.source import Source
from producer.submit import SubmitReport

console = Console(highlight=False)

WATCH_INTERVAL_S = 2.0

#: Columns of the status table that stay when they are zero.
ALWAYS_SHOWN = frozenset({"submitted", "waiting", "done", "failed"})


@contextmanager
def submitting(name: str) -> Iterator[Callable[[SubmitReport], None]]:
    """A line that counts while a source is read; yields what to call with each step's report."""
    started = time.monotonic()
    with console.status(f"reading {name}") as line:

        def on_progress(report: SubmitReport) -> None:
            rate = report.num_read / (time.monotonic() - started)
            line.update(f"reading {name}: {report.num_read:,} conversations, {rate:,.0f}/s")

        yield on_progress


def submitted(source: Source, report: SubmitReport, rejected_path: Path, *, is_dry_run: bool) -> None:
    """What became of a source, with the first rejected lines and why."""
    head = "would be submitted" if is_dry_run else f"submission {report.submission_id}"
    console.print(Text.assemble((source.name, "bold"), f" ({source.shape}, {source.encoding}): {head}"))
    console.print(f"  {report.num_read:,} conversations read: {', '.join(_parts(report, is_dry_run))}")
    if report.num_rejected:
        console.print(Text(f"  {report.num_rejected:,} rejected, all of them in {rejected_path}:", style="yellow"))
        for example in report.examples:
            console.print(Text(f"    line {example.line}: {example.reason}", style="yellow"), soft_wrap=True)


def _parts(report: SubmitReport, is_dry_run: bool) -> list[str]:
    """What the conversations read came to; what is zero is left out, but for what is new."""
    added = report.num_read if is_dry_run else report.num_added
    parts = {
        "repeated or there before": report.num_read - added,
        "of the new ones known from another submission": report.num_known,
        "with nothing to summarize": report.num_insufficient,
    }
    new = "to submit" if is_dry_run else "new to the submission"
    return [f"{added:,} {new}", *(f"{count:,} {what}" for what, count in parts.items() if count)]


def status(database: Engine, submission_id: int | None, *, is_watching: bool) -> None:
    """The account of one submission or all, once, or again and again until nothing is open."""
    if not is_watching:
        console.print(_status_table(database, submission_id)[0])
        return
    with Live(console=console, auto_refresh=False) as live:
        while True:
            table, num_open = _status_table(database, submission_id)
            live.update(table, refresh=True)
            if num_open == 0:
                return
            time.sleep(WATCH_INTERVAL_S)


def _status_table(database: Engine, submission_id: int | None) -> tuple[Table | str, int]:
    records = account.submissions(database) if submission_id is None else [account.submission(database, submission_id)]
    if not records:
        return "nothing was submitted yet: aftercall submit SOURCE", 0
    accounts = [(record, account.account(database, record.id)) for record in records]
    return _account_table(accounts), sum(each.open for _, each in accounts)


def _account_table(accounts: Sequence[tuple[SubmissionRecord, Account]]) -> Table:
    """A line a submission. What is zero for all takes no column, so that a usual night fits a usual terminal."""
    counts = [_counts(record, each) for record, each in accounts]
    shown = [name for name in counts[0] if name in ALWAYS_SHOWN or any(count[name] for count in counts)]
    table = Table("id", "source", box=None, header_style="bold", pad_edge=False)
    table.add_column("when", no_wrap=True)
    for name in shown:
        table.add_column(name, justify="right", no_wrap=True)
    for (record, _), count in zip(accounts, counts, strict=True):
        when = datetime.fromtimestamp(record.created_at).strftime("%m-%d %H:%M")
        table.add_row(str(record.id), Text(record.name + _mark(record)), when, *(f"{count[name]:,}" for name in shown))
    return table


def _counts(record: SubmissionRecord, each: Account) -> dict[str, int]:
    return {
        "submitted": each.submitted,
        "waiting": each.waiting,
        "running": each.running,
        "done": each.done,
        "failed": each.failed,
        "cancelled": each.cancelled,
        "insufficient": each.insufficient,
        "rejected": record.num_rejected,
    }


def _mark(record: SubmissionRecord) -> str:
    if record.is_cancelled:
        return " (cancelled)"
    return "" if record.is_read else " (not read to its end)"


def summaries(results: Iterable[Result], max_rows: int) -> None:
    """The first summaries as a table."""
    table = Table("id", "summary", header_style="bold", show_lines=True)
    for result in islice((result for result in results if result.summary is not None), max_rows):
        assert result.summary is not None  # noqa: S101 - narrows for the type checker
        table.add_row(Text(result.external_id), Text(result.summary.text))
    if table.row_count:
        console.print(table)


def failures(database: Engine, submission_id: int) -> None:
    """Why jobs failed, a line a code."""
    for failure in account.failure_counts(database, submission_id):
        console.print(
            Text(f"  {failure.num_jobs:,} failed with {failure.code}: {failure.example}", style="yellow"),
            soft_wrap=True,
        )
