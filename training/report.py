"""The report of a refresh: as Markdown for people and as JSON for programs."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from training.files import write_artifact
from training.registry.card import CARD_FILE
from training.registry.gate import RANKING_METRIC
from training.scheduled import REFRESH_DIR, Result

#: Summaries shown side by side.
NUM_SHOWN = 10


def write_report(data_dir: Path, result: Result) -> Path:
    """Write both files under the data folder; returns the Markdown's path."""
    stem = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{result.key}"
    folder = data_dir / REFRESH_DIR / "reports"
    write_artifact(folder / f"{stem}.json", json.dumps(to_json(result), indent=1, ensure_ascii=False).encode() + b"\n")
    write_artifact(folder / f"{stem}.md", render(result).encode())
    return folder / f"{stem}.md"


def to_json(result: Result) -> dict[str, object]:
    """The report for programs. Intervals are texts, as one over a single conversation has no bounds."""
    gate = result.gate
    return {
        "outcome": result.outcome,
        "exit_code": result.outcome.exit_code,
        "reasons": list(result.reasons),
        "is_repeated": result.is_repeated,
        "key": result.key,
        "sources": list(result.sources),
        "num_train": result.num_train,
        "num_held_out": result.num_held_out,
        "reviews": {path: asdict(report) for path, report in result.imports.items()},
        "candidate": result.candidate.name if result.candidate else None,
        "served_before": result.served or None,
        "figures": {
            name: judgement.means()
            for name, judgement in (("candidate", result.ours), ("served_before", result.theirs))
            if judgement
        },
        "differences": {name: str(interval) for name, interval in gate.differences.items()} if gate else {},
        "baselines": {name: str(interval) for name, interval in gate.baselines.items()} if gate else {},
        "summaries": [dict(zip(("conversation", "before", "after"), row, strict=True)) for row in _pair(result)],
    }


def render(result: Result) -> str:
    """The report for people."""
    parts = [
        f"# Refresh: {result.outcome}",
        "\n".join(f"- {reason}" for reason in result.reasons),
        *(["Nothing changed since an earlier refresh came to this, so nothing was trained."] * result.is_repeated),
        "## Data",
        _render_data(result),
        *_render_figures(result),
        *_render_summaries(result),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _render_data(result: Result) -> str:
    lines = [
        f"- {result.num_train} conversations to train on, {result.num_held_out} held out that neither adapter was "
        "trained on",
        *(f"- source: {source}" for source in result.sources),
    ]
    for path, report in result.imports.items():
        lines.append(
            f"- review {path}: {report.num_corrected} corrected, {report.num_unchanged} unchanged, {report.num_gone} "
            f"purged, {len(report.unusable)} unusable"
        )
        lines += [f"  - {sentence}" for sentence in report.unusable]
    return "\n".join(lines)


def _render_figures(result: Result) -> list[str]:
    gate = result.gate
    if not (gate and result.ours and result.theirs and result.candidate):
        return []
    means = result.ours.means(), result.theirs.means()
    table = ["| figure | new | before | difference (95% interval) |", "|---|---:|---:|---|"]
    for metric, interval in gate.differences.items():
        table.append(f"| {metric} | {means[0][metric]:.1f} | {means[1][metric]:.1f} | {interval} |")
    for name, interval in gate.baselines.items():
        table.append(f"| {RANKING_METRIC}, new compared with the {name} | | | {interval} |")
    return [
        f"## Figures, n={gate.num_conversations}",
        f"New: {result.candidate.name}. Before: {result.served or 'the base model alone'}.",
        "\n".join(table),
        f"The loss curve and all figures are in [its card]({result.candidate / CARD_FILE}).",
    ]


def _render_summaries(result: Result) -> list[str]:
    shown = [f"```\n{text.strip()}\n```\n\n- before: {before}\n- new: {after}" for text, before, after in _pair(result)]
    return ["## Summaries side by side", *shown] if shown else []


def _pair(result: Result) -> list[tuple[str, str, str]]:
    """Conversation, summary before and summary after, for the first held-out conversations."""
    if not (result.ours and result.theirs):
        return []
    verdicts = zip(result.examples, result.theirs.verdicts, result.ours.verdicts, strict=True)
    return [(each.text, before.summary, after.summary) for each, before, after in verdicts][:NUM_SHOWN]
