"""`aftercall status`: the account of each submission, of all together, and who works on it."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text
from sqlalchemy import make_url

from aftercall.database import show_url
from aftercall.ledger import workers
from aftercall.ledger.workers import LiveWorker
from aftercall.masking import printable
from aftercall.settings import Settings, load_settings
from producer import as_json
from producer.advice import how_to_begin, how_to_work
from producer.estimate import Verdict
from producer.pauses import pause_after
from producer.show import console
from producer.standing import Standing, Standings

WATCH_INTERVAL_S = 2.0

#: Columns that stay when they are zero.
ALWAYS_SHOWN = ("submitted", "waiting", "done", "failed")

#: What stands below the table where the terminal has no room for a column of its own.
RARE = ("cancelled", "insufficient", "rejected")

#: Of a source's name, where the terminal is narrow.
MIN_NAME = 12

#: With room for this much of it, the time of submission is shown too.
ROOMY_NAME = 20

GAP = 2
TIME_WIDTH = len("11-28 05:12")

#: A deadline that is missed, or will be, is shown in this style.
STYLES = {Verdict.LATE: "yellow", Verdict.MISSED: "red", Verdict.MET: "green"}


def status(read: Callable[[], Standings], *, is_watching: bool) -> None:
    """The accounts and the workers, once, or again and again until nothing is open."""
    if not is_watching:
        console.print(_picture(read()))
        return
    with Live(console=console, auto_refresh=False) as live:
        while True:
            looked = time.monotonic()
            standings = read()
            live.update(_picture(standings), refresh=True)
            if not standings.total.open:
                return
            time.sleep(pause_after(time.monotonic() - looked, WATCH_INTERVAL_S))


def _picture(standings: Standings) -> Group | Text:
    if not standings.submissions:
        return _nothing(load_settings())
    columns = _choose_columns(standings)
    return Group(
        _table(standings.submissions, columns),
        *_rare_counts(standings, columns),
        *_sentences(standings),
        _workers(standings.workers, standings.total.open),
    )


def _nothing(settings: Settings) -> Text:
    """Where was looked, as somebody may stand in another folder than last night."""
    where = show_url(make_url(settings.ledger_url))
    is_here = settings.uses_embedded_database and not settings.data_dir.is_absolute()
    hint = " (the data folder is looked for where you stand; AFTERCALL_DATA_DIR names another)" if is_here else ""
    return Text(f"nothing was submitted yet in {where}{hint}.\nTo begin: {how_to_begin(settings)}")


@dataclass(frozen=True, slots=True)
class _Columns:
    """What the terminal has room for."""

    #: Counts with a column of their own, and those that stand below the table.
    shown: list[str]
    below: list[str]
    #: Width left for the name and the time of submission.
    room: int
    total: dict[str, int]


def _choose_columns(standings: Standings) -> _Columns:
    total = as_json.counts(standings.total, standings.num_rejected)
    shown = [name for name in total if name in ALWAYS_SHOWN or total[name]]
    below: list[str] = []
    id_width = max(len("id"), len(str(standings.submissions[-1].record.id)))

    def room() -> int:
        counts = sum(GAP + max(len(name), len(f"{total[name]:,}")) for name in shown)
        return console.width - id_width - GAP - counts

    for name in reversed(RARE):
        if name in shown and room() < MIN_NAME:
            shown.remove(name)
            below.insert(0, name)
    return _Columns(shown, below, room(), total)


def _table(lines: Sequence[Standing], columns: _Columns) -> Table:
    """A line a submission. What is zero for all takes no column."""
    name_width = max(len(_name(each)) for each in lines)
    with_time = columns.room - GAP - TIME_WIDTH >= min(name_width, ROOMY_NAME)
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("id", no_wrap=True)
    # The one column that may wrap: rich takes missing room from these first, and never from id and counts.
    table.add_column("source", overflow="fold", min_width=MIN_NAME)
    if with_time:
        table.add_column("when", no_wrap=True)
    for name in columns.shown:
        table.add_column(name, justify="right", no_wrap=True)
    for each in lines:
        when = [datetime.fromtimestamp(each.record.created_at).strftime("%m-%d %H:%M")] * with_time
        count = as_json.counts(each.account, each.record.num_rejected)
        table.add_row(str(each.record.id), Text(_name(each)), *when, *(f"{count[name]:,}" for name in columns.shown))
    if len(lines) > 1:
        totals = (f"{columns.total[name]:,}" for name in columns.shown)
        table.add_row("", "all", *[""] * with_time, *totals, style="bold")
    return table


def _rare_counts(standings: Standings, columns: _Columns) -> list[Text]:
    """What found no room in the table."""
    lines = []
    for each in standings.submissions:
        count = as_json.counts(each.account, each.record.num_rejected)
        if rare := ", ".join(f"{count[name]:,} {name}" for name in columns.below if count[name]):
            lines.append(Text(f"{each.record.id}: {rare}"))
    return lines


def _name(each: Standing) -> str:
    name = printable(each.record.name)
    if each.record.is_cancelled:
        return f"{name} (cancelled)"
    return name if each.record.is_read else f"{name} (not read to its end)"


def _sentences(standings: Standings) -> list[Text]:
    """When each open submission ends, and how each stands to a deadline."""
    told = [each for each in standings.submissions if each.account.open or each.estimate.deadline_at is not None]
    return [Text(sentence(each), style=STYLES.get(each.estimate.verdict or Verdict.UNKNOWN, "")) for each in told]


def sentence(each: Standing) -> str:
    """How fast a submission goes and when it ends, such as `3: 12.4 conversations/s, done by 05:12`."""
    rate = f"{each.rate:.1f} conversations/s, " if each.rate else ""
    return f"{each.record.id}: {rate}{each.estimate.sentence}"


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
