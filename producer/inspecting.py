"""What would be submitted of a source: as text for people, as JSON Lines for scripts. Changes nothing."""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from aftercall.conversation import Conversation, parse_turns
from aftercall.errors import EXIT_SOME_REJECTED, AftercallError
from aftercall.files import writing_whole
from aftercall.redaction import count_placeholders
from producer.batches import Prepared, read_batches
from producer.dry_run import open_rehearsal
from producer.preparing import prepare_conversation
from producer.readers.layouts.layout_files import to_toml
from producer.readers.raw import RawConversation
from producer.readers.scratch import open_scratch
from producer.source import Rejected, Source, SourceOptions, SourceRow, open_source
from producer.submit import SubmitReport, take_in

#: Conversations that are shown as text.
NUM_SHOWN = 3
_NUM_REASONS = 5
_NUM_SPEAKERS = 20
_MAX_CHARS = 300

console = Console(highlight=False)


class _Unwritten:
    """Stands for the file of rejected rows, which an inspection does not write."""

    def write(self, rejected: Rejected) -> None:
        """Nothing: the reasons are in the report."""


def write_jsonl(path: str, options: SourceOptions, limit: int | None, save_layout: Path | None) -> int:
    """Every conversation as a line on stdout, the counts on the last line of stderr. Returns the exit code."""
    with open_source(path, options) as source:
        _save_layout(source, save_layout)
        report = SubmitReport(submission_id=0)
        redacted = Counter[str]()
        for number, (external_id, text) in enumerate(_taken(source, report)):
            redacted += count_placeholders(text)
            if limit is None or number < limit:
                turns = [{"speaker": turn.speaker, "text": turn.text} for turn in parse_turns(text)]
                sys.stdout.write(json.dumps({"id": external_id, "turns": turns}, ensure_ascii=False) + "\n")
        for example in report.examples:
            sys.stderr.write(f"line {example.line}: {example.reason}\n")
        for warning in source.account.warnings:
            sys.stderr.write(f"warning: {warning}\n")
    sys.stdout.flush()
    counts = {"conversations": report.num_read, "rejected": report.num_rejected, "redacted": dict(redacted)}
    sys.stderr.write(json.dumps(counts) + "\n")
    return EXIT_SOME_REJECTED if report.num_rejected else 0


def _taken(source: Source, report: SubmitReport) -> Iterator[tuple[str, str]]:
    """Id and cleaned text of every conversation that a submission would take in."""
    with open_scratch() as scratch:
        add_jobs = open_rehearsal(scratch)
        for batch in read_batches(source):
            before = {row.job.position: row for row in batch if isinstance(row, Prepared)}
            refused = take_in(batch, add_jobs, report, _Unwritten())
            for position, row in before.items():
                if position not in refused:
                    yield row.job.external_id, row.job.text


def show_text(path: str, options: SourceOptions, limit: int, save_layout: Path | None) -> int:
    """The account of a source on the terminal. Returns the exit code."""
    with open_source(path, options) as source:
        shown = _first(source, limit)
        report = SubmitReport(submission_id=0)
        redacted = Counter[str]()
        for _, text in _taken(source, report):
            redacted += count_placeholders(text)
        _show_head(source, report)
        _show_redacted(source, redacted)
        _show_speakers(source)
        show_account(source)
        if shown:
            console.print("\nThe first conversations: - as the file has it, > as the model reads it")
        for raw, cleaned in shown:
            _show_conversation(raw, cleaned)
        _save_layout(source, save_layout)
    if report.num_rejected:
        _show_rejected(report)
    return EXIT_SOME_REJECTED if report.num_rejected else 0


def _first(source: Source, limit: int) -> list[tuple[RawConversation | None, Conversation]]:
    pairs = ((raw, outcome) for raw, outcome in source.pairs() if isinstance(outcome, SourceRow))
    return [(raw, prepare_conversation(row.conversation, source.redact)) for raw, row in islice(pairs, limit)]


def _show_head(source: Source, report: SubmitReport) -> None:
    account = source.account
    console.print(Text.assemble((source.name, "bold"), f" ({source.encoding})"))
    _say("layout", source.layout.title + ("" if source.layout.is_generic else f" [{account.layout}]"))
    _say("recognised", account.why)
    rejected = f", {report.num_rejected:,} rejected" if report.num_rejected else ""
    _say("conversations", f"{report.num_read:,}{rejected}")
    sides = {"user": "customer", "agent": "agent"}
    turns = ", ".join(f"{account.speakers[side]:,} {name}" for side, name in sides.items())
    _say("turns", f"{account.num_turns:,}: {turns}")


def _show_redacted(source: Source, redacted: Counter[str]) -> None:
    counts = ", ".join(f"{num:,} {kind}" for kind, num in redacted.most_common()) or "nothing"
    _say("redacted", counts if source.redact != "off" else "off")


def _show_speakers(source: Source) -> None:
    if not source.account.sides:
        _say("sides", "as the export says")
        return
    table = Table("speaker", "conversations", "side", "how it was decided", header_style="bold", box=None)
    for line in source.account.sides[:_NUM_SPEAKERS]:
        table.add_row(Text(line.label), f"{line.num_conversations:,}", line.side, Text(line.why))
    console.print(table)
    if (num_more := len(source.account.sides) - _NUM_SPEAKERS) > 0:
        console.print(Text(f"  and {num_more:,} more speakers"))


def show_account(source: Source) -> None:
    """What was dropped, the order, and what looks wrong."""
    account = source.account
    if account.dropped:
        _say("dropped", account.dropped_in_words)
    if account.orders:
        orders = ", ".join(f"by {order} in {num:,}" for order, num in account.orders.most_common())
        _say("order", orders)
    for sentence in account.passed_over_in_words[:_NUM_REASONS]:
        _say("passed over", sentence)
    for warning in account.warnings:
        _say("warning", warning, style="yellow")


def _say(name: str, text: str, style: str = "") -> None:
    """A line of the account, whose text goes on below itself."""
    _print_hanging(f"  {name:<14}", Text(text, style=style), style)


def _print_hanging(start: str, text: Text, style: str = "") -> None:
    grid = Table.grid(padding=0)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(Text(start, style=style), text)
    console.print(grid)


def _show_conversation(raw: RawConversation | None, cleaned: Conversation) -> None:
    console.print(Text(f"\n{cleaned.external_id}", style="bold"))
    if raw is not None:
        for turn in raw.turns:
            kind = "" if turn.kind == "message" else f" ({turn.kind})"
            text = f"{turn.label or turn.speaker or '?'}{kind}: {_short(turn.text)}"
            if turn.text.strip():
                _print_hanging("  - ", Text(text, style="dim"), "dim")
    for said in cleaned.turns:
        style = "green" if said.speaker == "agent" else "cyan"
        _print_hanging("  > ", Text.assemble((f"{said.speaker}: ", style), _short(said.text)))


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _MAX_CHARS else f"{text[:_MAX_CHARS]} … ({len(text):,} characters)"


def _show_rejected(report: SubmitReport) -> None:
    console.print(Text(f"\n  {report.num_rejected:,} rejected:", style="yellow"))
    for example in report.examples:
        _print_hanging(f"    line {example.line}: ", Text(example.reason, style="yellow"), "yellow")


def _save_layout(source: Source, path: Path | None) -> None:
    """Write the layout to a file that is not there yet."""
    if path is None:
        return
    if path.exists():
        raise AftercallError(f"{path} is there already. Name another file for the layout, or remove it first.")
    with writing_whole(path) as file:
        file.write(to_toml(source.layout))
