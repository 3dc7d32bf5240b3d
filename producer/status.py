"""`aftercall status`: the account of each submission, of all together, and who works on it."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text
from sqlalchemy import make_url

from aftercall.database import show_url
from aftercall.ledger.workers import LiveWorker
from aftercall.settings import Settings, load_settings
from producer import as_json
from producer.advice import how_to_begin, how_to_work
from producer.estimate import Verdict
from producer.show import console
from producer.standing import Standing, Standings

WATCH_INTERVAL_S = 2.0

#: Columns that stay when they are zero.
ALWAYS_SHOWN = ("submitted", "waiting", "done", "failed")

#: What stands below a submission's line where the terminal has no room for a column of its own.
RARE = ("cancelled", "insufficient", "rejected")

#: Of a source's name, where the terminal is narrow.
MIN_NAME = 12

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
            standings = read()
            live.update(_picture(standings), refresh=True)
            if not standings.total.open:
                return
            time.sleep(WATCH_INTERVAL_S)


def _picture(standings: Standings) -> Group | Text:
    if not standings.submissions:
        return _nothing(load_settings())
    return Group(
        _table(standings.submissions), *_sentences(standings), _workers(standings.workers, standings.total.open)
    )


def _nothing(settings: Settings) -> Text:
    """Where was looked, as somebody may stand in another folder than last night."""
    where = show_url(make_url(settings.ledger_url))
    is_here = settings.uses_embedded_database and not settings.data_dir.is_absolute()
    hint = " (the data folder is looked for where you stand; AFTERCALL_DATA_DIR names another)" if is_here else ""
    return Text(f"nothing was submitted yet in {where}{hint}.\nTo begin: {how_to_begin(settings)}")


def _table(lines: Sequence[Standing]) -> Table:
    """A line a submission. What is zero for all takes no column, and what finds no room stands below its line."""
    counts = [as_json.counts(each.account, each.record.num_rejected) for each in lines]
    total = {name: sum(count[name] for count in counts) for name in counts[0]}
    names = [_name(each) for each in lines]
    shown, below, with_time = _choose_columns(total, max(map(len, names)), len(str(lines[-1].record.id)))
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("id", no_wrap=True)
    table.add_column("source", no_wrap=True, overflow="ellipsis", min_width=MIN_NAME)
    if with_time:
        table.add_column("when", no_wrap=True)
    for name in shown:
        table.add_column(name, justify="right", no_wrap=True)
    for each, name, count in zip(lines, names, counts, strict=True):
        when = [datetime.fromtimestamp(each.record.created_at).strftime("%m-%d %H:%M")] * with_time
        table.add_row(str(each.record.id), Text(name), *when, *(f"{count[column]:,}" for column in shown))
        if rest := ", ".join(f"{count[column]:,} {column}" for column in below if count[column]):
            table.add_row("", Text(f"  {rest}", style="dim"))
    if len(lines) > 1:
        table.add_row("", "all", *[""] * with_time, *(f"{total[column]:,}" for column in shown), style="bold")
    return table


def _choose_columns(total: dict[str, int], name_width: int, id_width: int) -> tuple[list[str], list[str], bool]:
    """The columns, the counts that stand below a line instead, and whether there is room for the time."""
    shown = [name for name in total if name in ALWAYS_SHOWN or total[name]]
    widths = {name: max(len(name), len(f"{total[name]:,}")) + GAP for name in shown}
    fixed = max(id_width, len("id")) + GAP + min(max(name_width, MIN_NAME), console.width // 3)
    below: list[str] = []
    for name in reversed(RARE):
        if name in shown and fixed + sum(widths[each] for each in shown) > console.width:
            shown.remove(name)
            below.insert(0, name)
    with_time = fixed + sum(widths[each] for each in shown) + GAP + TIME_WIDTH <= console.width
    return shown, below, with_time


def _name(each: Standing) -> str:
    if each.record.is_cancelled:
        return f"{each.record.name} (cancelled)"
    return each.record.name if each.record.is_read else f"{each.record.name} (not read to its end)"


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
    if num_silent := sum(each.is_silent for each in alive):
        parts.append(f"{num_silent} silent (`aftercall doctor` says which)")
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
