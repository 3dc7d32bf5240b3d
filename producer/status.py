"""`aftercall status`: the account of each submission, of all together, and who works on it."""

import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text
from sqlalchemy import Engine, make_url

from aftercall.database import show_url
from aftercall.ledger import account, workers
from aftercall.ledger.account import Account, SubmissionRecord
from aftercall.ledger.workers import LiveWorker
from aftercall.masking import printable
from aftercall.settings import Settings, load_settings
from producer.advice import how_to_begin, how_to_work
from producer.show import console

WATCH_INTERVAL_S = 2.0

#: Columns that stay when they are zero.
ALWAYS_SHOWN = frozenset({"submitted", "waiting", "done", "failed"})

#: On a narrower terminal, a table of more counts has no room for the time of submission.
WIDE = 100
NUM_NARROW = 5

Line = tuple[SubmissionRecord, Account]


def status(database: Engine, submission_id: int | None, *, is_watching: bool) -> None:
    """The account of one submission or all, once, or again and again until nothing is open."""
    if not is_watching:
        console.print(_picture(database, _read(database, submission_id)))
        return
    with Live(console=console, auto_refresh=False) as live:
        while True:
            lines = _read(database, submission_id)
            live.update(_picture(database, lines), refresh=True)
            if not any(each.open for _, each in lines):
                return
            time.sleep(WATCH_INTERVAL_S)


def _read(database: Engine, submission_id: int | None) -> list[Line]:
    if submission_id is not None:
        return [(account.submission(database, submission_id), account.account(database, submission_id))]
    by_id = account.accounts(database)
    return [(record, by_id.get(record.id, account.EMPTY)) for record in account.submissions(database)]


def _picture(database: Engine, lines: Sequence[Line]) -> Group | Text:
    if not lines:
        return _nothing(load_settings())
    num_open = sum(each.open for _, each in lines)
    return Group(_table(lines), _workers(workers.alive(database), num_open))


def _nothing(settings: Settings) -> Text:
    """Where was looked, as somebody may stand in another folder than last night."""
    where = show_url(make_url(settings.ledger_url))
    is_here = settings.uses_embedded_database and not settings.data_dir.is_absolute()
    hint = " (the data folder is looked for where you stand; AFTERCALL_DATA_DIR names another)" if is_here else ""
    return Text(f"nothing was submitted yet in {where}{hint}.\nTo begin: {how_to_begin(settings)}")


def _table(lines: Sequence[Line]) -> Table:
    """A line a submission. What is zero for all takes no column, so that a usual night fits a usual terminal."""
    counts = [_counts(each, record.num_rejected) for record, each in lines]
    shown = [name for name in counts[0] if name in ALWAYS_SHOWN or any(count[name] for count in counts)]
    table = Table("id", "source", box=None, header_style="bold", pad_edge=False)
    with_time = console.width >= WIDE or len(shown) <= NUM_NARROW
    if with_time:
        table.add_column("when", no_wrap=True)
    for name in shown:
        table.add_column(name, justify="right", no_wrap=True)
    for (record, _), count in zip(lines, counts, strict=True):
        when = [datetime.fromtimestamp(record.created_at).strftime("%m-%d %H:%M")] * with_time
        table.add_row(
            str(record.id), Text(printable(record.name) + _mark(record)), *when, *(f"{count[name]:,}" for name in shown)
        )
    if len(lines) > 1:
        total = {name: sum(count[name] for count in counts) for name in shown}
        table.add_row("", "all", *[""] * with_time, *(f"{count:,}" for count in total.values()), style="bold")
    return table


def _counts(each: Account, num_rejected: int) -> dict[str, int]:
    return {
        "submitted": each.submitted,
        "waiting": each.waiting,
        "running": each.running,
        "done": each.done,
        "failed": each.failed,
        "cancelled": each.cancelled,
        "insufficient": each.insufficient,
        "rejected": num_rejected,
    }


def _mark(record: SubmissionRecord) -> str:
    if record.is_cancelled:
        return " (cancelled)"
    return "" if record.is_read else " (not read to its end)"


def _workers(alive: Sequence[LiveWorker], num_open: int) -> Text:
    """One line: how many, and what they serve."""
    if not alive:
        waits = f"{num_open:,} conversations wait and no worker is alive: {how_to_work(load_settings())}"
        return Text(waits if num_open else "nothing is open, no worker is alive", style="yellow" if num_open else "dim")
    parts = [f"{len(alive)} worker{'s' * (len(alive) > 1)} alive", *_served(alive)]
    if any(len(models) > 1 for models in workers.models_by_queue(alive).values()):
        parts.append("with different models or settings (`aftercall doctor` says which)")
    if num_overdue := sum(each.is_overdue for each in alive):
        parts.append(f"{num_overdue} silent (`aftercall doctor` says which)")
    return Text(", ".join(parts))


def _served(alive: Sequence[LiveWorker]) -> list[str]:
    counts = Counter(each.worker.adapter_digest for each in alive)
    num_loading = counts.pop(None, 0)
    served = [f"adapter {digest}" if digest else "the base model alone" for digest in counts]
    if len(served) > 1:
        served = [f"{name} ({count})" for name, count in zip(served, counts.values(), strict=True)]
    serving = [f"serving {' and '.join(served)}"] if served else []
    loading = [f"{num_loading} loading the model" if served else "loading the model"] if num_loading else []
    return [*serving, *loading]
