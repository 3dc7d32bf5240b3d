"""The report of a refresh: as a page for people and as JSON for programs."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from aftercall.page import STYLE
from producer.html import make_environment
from training.data.example import Example
from training.files import write_artifact
from training.registry.card import CARD_JSON_FILE
from training.registry.gate import RANKING_METRIC
from training.scheduled import REFRESH_DIR, Result

#: Summaries shown side by side.
NUM_SHOWN = 10
#: A curve's drawing area, in its own units.
WIDTH, HEIGHT = 960.0, 160.0


@dataclass(frozen=True, slots=True)
class Curve:
    """A loss by step, as a line for inline SVG."""

    name: str
    #: Coordinates `x,y`, apart by spaces.
    points: str
    num_steps: int
    first: float
    last: float

    @classmethod
    def draw(cls, name: str, values: Sequence[tuple[int, float]]) -> "Curve":
        """The curve of (step, loss) pairs; the highest loss is at the top, zero at the bottom."""
        last_step = values[-1][0]
        highest = max(loss for _, loss in values) or 1.0
        points = (f"{WIDTH * step / last_step:.1f},{HEIGHT * (1 - loss / highest):.1f}" for step, loss in values)
        return cls(name, " ".join(points), last_step, values[0][1], values[-1][1])


def write_report(data_dir: Path, result: Result) -> Path:
    """Write both files under the data folder; returns the page's path."""
    stem = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{result.key}"
    folder = data_dir / REFRESH_DIR / "reports"
    write_artifact(folder / f"{stem}.json", json.dumps(to_json(result), indent=1, ensure_ascii=False).encode() + b"\n")
    write_artifact(folder / f"{stem}.html", render(result).encode())
    return folder / f"{stem}.html"


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
        # `aftercall erase` finds an entry by this id.
        "summaries": [
            {"conversation_id": example.conversation.external_id, "before": before, "after": after}
            for example, before, after in _pair(result)
        ],
    }


def render(result: Result) -> str:
    """The report for people: one HTML page that needs no other file."""
    gate = result.gate
    page = make_environment("training").get_template("refresh.html.j2")
    return page.render(
        result=result,
        style=STYLE,
        made_at=time.time(),
        figures=_list_figures(result),
        baselines=[(name, str(interval)) for name, interval in gate.baselines.items()] if gate else [],
        ranking=RANKING_METRIC,
        curves=_read_curves(result),
        box=(WIDTH, HEIGHT),
        summaries=_pair(result),
    )


def _list_figures(result: Result) -> list[tuple[str, float, float, str]]:
    """Metric, the new adapter's mean, that of what is served, and the difference with its interval."""
    if not (result.gate and result.ours and result.theirs):
        return []
    new, before = result.ours.means(), result.theirs.means()
    return [(name, new[name], before[name], str(interval)) for name, interval in result.gate.differences.items()]


def _read_curves(result: Result) -> list[Curve]:
    """The loss curves of the candidate's card."""
    if result.candidate is None or not (result.candidate / CARD_JSON_FILE).is_file():
        return []
    training = json.loads((result.candidate / CARD_JSON_FILE).read_bytes())["training"]
    points = training["curve"]
    named = {
        name: [(point["step"], point[key]) for point in points if point[key] is not None]
        for name, key in (("training", "train_loss"), ("validation", "validation_loss"))
    }
    if training.get("preference"):
        named["preferences"] = list(enumerate(training["preference"]["losses"], start=1))
    return [Curve.draw(name, values) for name, values in named.items() if values]


def _pair(result: Result) -> list[tuple[Example, str, str]]:
    """Conversation, summary before and summary after, for the first held-out ones."""
    if not (result.ours and result.theirs):
        return []
    verdicts = zip(result.examples, result.theirs.verdicts, result.ours.verdicts, strict=True)
    return [(each, before.summary, after.summary) for each, before, after in verdicts][:NUM_SHOWN]
