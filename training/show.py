"""Everything that the training commands print."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from training.data.labelled import Reading
from training.data.review_stats import GROUPINGS, count_reviews, group_reviews
from training.data.reviews import Review
from training.data.splits import Splits
from training.judge.baselines import PEOPLE
from training.judge.bootstrap import Interval, compare
from training.judge.judgement import METRICS, Judgement
from training.registry import history as history_
from training.registry.gate import MIN_CONVERSATIONS, RANKING_METRIC, compare_at_gate
from training.registry.promotion import Promotion, format_settings
from training.registry.registry import AdapterState, Entry
from worker.serving.desired import DesiredAdapter

if TYPE_CHECKING:
    from training.judge.evaluate import Evaluation

console = Console(highlight=False)


def splits(loaded: Splits) -> None:
    """Print how many conversations are trained on and held out."""
    num_references = sum(len(example.references) for example in loaded.train)
    console.print(
        f"{len(loaded.train)} conversations with {num_references} summaries to train on, "
        f"{len(loaded.validation)} held out"
    )


def rejected(reading: Reading) -> None:
    """Print how many rows of each source were left out, and where they are listed."""
    for source, rows in reading.rejected.items():
        where = f"; all are in {rows.path}" if rows.path else ""
        console.print(f"{source}: {rows.num_rows} rows rejected, the first: {rows.first}{where}", soft_wrap=True)


def registered(entry: Entry) -> None:
    """Print an adapter's state and folder, and how to promote it if it is not active."""
    console.print(f"{entry.state}: {entry.digest} in {entry.path}", soft_wrap=True)
    if entry.state is not AdapterState.ACTIVE:
        console.print(f"Serve it with `aftercall adapters promote {entry.digest}`.")


def imported(entry: Entry, names: Sequence[str]) -> None:
    """Print what was imported, and how to judge it."""
    console.print(f"{entry.state}: {entry.digest} in {entry.path}, LoRA on {', '.join(names)}", soft_wrap=True)
    console.print(
        f"Judge it with `aftercall evaluate {entry.digest} --with-base --data …`, then promote it with `aftercall "
        f"adapters promote {entry.digest}`.",
        soft_wrap=True,
    )


def entries(known: Sequence[Entry]) -> None:
    """Print the registry as a table."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("digest", "state", "base model"):
        table.add_column(name, no_wrap=True)
    for name in ("created", "promoted", "folder"):
        table.add_column(name, overflow="fold")
    for entry in known:
        table.add_row(
            entry.digest,
            entry.state,
            entry.base_model,
            _format_time(entry.created_at),
            _format_time(entry.promoted_at),
            str(entry.path),
        )
    console.print(table)


def history(changes: Sequence[history_.Entry]) -> None:
    """Print the promotions and rollbacks, newest first."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("when", "", "active", "in place of"):
        table.add_column(name, no_wrap=True)
    table.add_column("gate")
    for entry in reversed(changes):
        change = entry.change
        table.add_row(
            _format_time(entry.at),
            change.action,
            change.adapter_digest or "the shipped one",
            change.replaced_digest or "the base model",
            _format_gate(change),
        )
    console.print(table)


def unchanged(served: DesiredAdapter, base_model: str) -> None:
    """Print what workers serve when no adapter was ever promoted."""
    what = f"{served.digest}, which ships for {base_model}" if served.digest else f"{base_model} alone"
    console.print(f"No adapter has been promoted yet; workers serve {what}.", soft_wrap=True)


def evaluation(ours: "Evaluation", judged: Mapping[str, Judgement]) -> None:
    """Print what was evaluated, the notebook's figures, a table of all judgements, and their differences from ours."""
    made_by = f"adapter {ours.provenance.adapter_digest}" if ours.provenance.adapter_digest else "no adapter"
    console.print(f"{made_by} on {ours.provenance.base_model}: {ours.provenance.held}")
    console.print(f"n={ours.judgement.num_conversations} conversations")
    if ours.judgement.num_conversations < MIN_CONVERSATIONS:
        console.print(f"The gate needs {MIN_CONVERSATIONS}: this judgement promotes no adapter.")
    for name, value in ours.figures().items():
        console.print(f"{name}: {value:.4f}")
    _show_figures(judged)
    _show_differences(ours.judgement, judged)


def _show_figures(judged: Mapping[str, Judgement]) -> None:
    """One line per figure, one column per judgement."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("figure", no_wrap=True, min_width=max(map(len, METRICS)))
    for name in judged:
        table.add_column(name, min_width=max(map(len, name.split())), justify="right")
    table.add_row("n", *(str(judgement.num_conversations) for judgement in judged.values()))
    means = [judgement.means() for judgement in judged.values()]
    for metric in METRICS:
        table.add_row(metric, *(f"{mean[metric]:.1f}" for mean in means))
    console.print(table)
    if PEOPLE in judged:
        console.print(
            f"{PEOPLE}: each conversation's first summary against the others, so its best is over one reference fewer",
            soft_wrap=True,
        )


def _show_differences(ours: Judgement, judged: Mapping[str, Judgement]) -> None:
    """The difference of each judgement from ours, for those made on the same conversations."""
    console.print(f"{RANKING_METRIC}, differences with their 95% intervals:")
    values = ours.values(RANKING_METRIC)
    for name, judgement in judged.items():
        # People's summaries are judged only on the conversations with several references, so not pairwise with ours.
        if judgement is not ours and judgement.num_conversations == len(values):
            interval = compare(values, judgement.values(RANKING_METRIC))
            console.print(f"  to {name}: {interval}")


def difference(ours: Judgement, theirs: Judgement) -> None:
    """Print each figure's difference with its interval, and the gate's decision."""
    report = compare_at_gate(ours, theirs, theirs.name)
    console.print(f"n={report.num_conversations} conversations")
    table = Table("figure", ours.name, theirs.name, "difference (95% interval)")
    for metric in METRICS:
        values = ours.values(metric), theirs.values(metric)
        table.add_row(metric, *(f"{sum(each) / len(each):.1f}" for each in values), str(compare(*values)))
    console.print(table)
    if not ours.is_written_as(theirs):
        console.print(
            f"{format_settings(ours, theirs)}: the difference is not due to the adapters alone", soft_wrap=True
        )
    console.print("; ".join(report.refusals) or "the gate would let the first one pass")


def promotion(done: Promotion) -> None:
    """Print what was promoted, what it replaced, and how the two compare."""
    place = f"in place of {done.replaced}" if done.replaced else "in place of the base model"
    console.print(f"active: {done.digest}, {place}{' (forced, without the gate)' if done.is_forced else ''}")
    if done.report is None:
        return
    console.print(f"  n={done.report.num_conversations} held-out conversations; differences with 95% intervals:")
    for metric, interval in done.report.differences.items():
        console.print(f"  {metric}: {interval}")
    for name, interval in done.report.baselines.items():
        console.print(f"  {RANKING_METRIC}, compared with the {name}: {interval}")


def reviews(log: Sequence[Review]) -> None:
    """Print acceptance, edits and agreement, over all reviews and by group."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("", "group", "reviews", "accepted", "words changed", "agreement"):
        table.add_column(name, justify="left" if name in ("", "group") else "right", no_wrap=True)
    groups = {"all": {"": count_reviews(log)}} if log else {}
    groups |= {grouping: group_reviews(log, grouping) for grouping in GROUPINGS}
    for grouping, figures in groups.items():
        for name, each in figures.items():
            agreement = "" if each.agreement is None else f"{each.agreement:.0%} of {each.num_pairs}"
            edits = "" if each.edit_share is None else f"{each.edit_share:.0%}"
            table.add_row(grouping, name, str(each.num_reviews), f"{each.acceptance:.0%}", edits, agreement)
    console.print(table)


def _format_gate(change: history_.Change) -> str:
    if change.is_forced:
        return "forced"
    if change.report is None:
        return ""
    report = json.loads(change.report)
    interval = Interval(**report["differences"][RANKING_METRIC])
    # Reports written by earlier versions have no number of conversations.
    number = f", n={report['num_conversations']}" if "num_conversations" in report else ""
    return f"ROUGE {interval}{number}"


def _format_time(at: float | None) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M") if at else ""
