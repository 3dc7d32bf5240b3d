"""An adapter's card: what it was made from, how it was trained and how it scores.

Written as Markdown for people, JSON for programs, and a picture of the loss curve.
"""

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from io import BytesIO
from pathlib import Path

from training.files import write_artifact
from training.fit.recipe import Recipe
from training.fit.training_run import LossPoint, TrainingRun
from worker.adapters.manifest import AdapterManifest

CARD_FILE = "README.md"
CARD_JSON_FILE = "card.json"
CURVE_FILE = "loss.png"
#: Number of steps that the smoothed line of the loss curve averages.
MEAN_STEPS = 20

TWEETSUMM_LICENCES = (
    "TweetSumm's LICENSE file puts its annotations under CC0 1.0, its README under CDLA-Sharing 1.0. The tweets are "
    'from "Customer Support on Twitter", under CC BY-NC-SA 4.0.'
)
UNKNOWN_LICENCES = "Not stated. Whoever shares this adapter says under which terms its conversations may be used."

_COLUMNS = {
    "rouge1_average": "R-1 avg",
    "rouge2_average": "R-2 avg",
    "rougeL_average": "R-L avg",
    "rouge1_best": "R-1 best",
    "rouge2_best": "R-2 best",
    "rougeL_best": "R-L best",
    "words": "words",
    "two_sentences": "two sentences %",
    "whole": "whole %",
    "copied": "copied %",
    "unsupported": "unsupported %",
    "role_swapped": "roles swapped %",
}


@dataclass(frozen=True, slots=True)
class Card:
    """The contents of a card."""

    manifest: AdapterManifest
    recipe: Recipe
    training: TrainingRun
    data: str
    licences: str
    #: The mean figures by who wrote the summaries: this adapter, the base model, people and so on.
    scores: Mapping[str, Mapping[str, float]]
    #: How the base model was stored in memory when the adapter was judged.
    judged_on: str
    #: Further remarks, in Markdown.
    notes: str = ""
    #: The conversations behind the scores; 0: unknown, in cards of earlier versions.
    num_judged: int = 0
    #: Difference in mean ROUGE to the others, by their names, with intervals.
    differences: Mapping[str, str] = field(default_factory=dict)


def write_card(folder: Path, card: Card) -> None:
    """Write the card's three files into the adapter's folder."""
    write_artifact(folder / CURVE_FILE, draw_curve(card.training.curve))
    write_artifact(folder / CARD_JSON_FILE, json.dumps(asdict(card), indent=1, default=dict).encode() + b"\n")
    write_artifact(folder / CARD_FILE, render_card(card).encode())


def render_card(card: Card) -> str:
    """The card as Markdown."""
    manifest, training = card.manifest, card.training
    share = 100 * training.num_trainable_parameters / training.num_parameters
    facts = {
        "Base model": f"`{manifest.base_model}` (digest `{manifest.base_digest}`), held as {manifest.quantization}",
        "Recipe": f"`{card.recipe.name}`",
        "Trained on": f"{card.data} (digest `{manifest.data_digest[:16]}`)",
        "Prompt, cleaner": f"version {manifest.prompt_version}, version {manifest.cleaner_version}",
        "Trainable parameters": f"{training.num_trainable_parameters:,} of {training.num_parameters:,} ({share:.2f}%)",
        "Training": f"{training.num_steps} steps, {training.duration_s / 60:.1f} minutes on {training.ran_on}",
        **({"Preferences": str(training.preference)} if training.preference else {}),
        "Parents": ", ".join(manifest.parents) or "none",
        "Made": manifest.created_at,
    }
    return "\n\n".join(
        (
            f"# Adapter {manifest.digest}",
            "\n".join(f"- **{name}**: {value}" for name, value in facts.items()),
            "## Scores",
            render_scores(card.scores),
            *([_render_differences(card)] if card.differences else []),
            f"Written by the worker's engine on the {_number(card)}held-out conversations, base model held as "
            f"{card.judged_on}. ROUGE is stemmed F1, in percent, averaged over a conversation's references and for the "
            "best of them; "
            "people: each conversation's first summary against the others, so its best is over one reference fewer. "
            "*Whole*: summaries that end with sentence punctuation. *Copied*: share of four-word runs that occur in "
            "the conversation. *Unsupported*: summaries with a number, name or link that the conversation does not "
            "contain. *Roles swapped*: summaries in which the agent complains or the customer serves.",
            f"![Loss by step]({CURVE_FILE})",
            *([card.notes] if card.notes else []),
            "## Recipe",
            "\n".join(f"- {name}: {_plain(value)}" for name, value in _used(card.recipe).items()),
            "## Licences of the data",
            card.licences,
        )
    ) + "\n"  # fmt: skip


def render_scores(scores: Mapping[str, Mapping[str, float]]) -> str:
    """The figures as a Markdown table, one line per writer."""
    lines = ["| written by | " + " | ".join(_COLUMNS.values()) + " |", "|---|" + "---:|" * len(_COLUMNS)]
    for name, means in scores.items():
        lines.append(f"| {name} | " + " | ".join(f"{means[metric]:.1f}" for metric in _COLUMNS) + " |")
    return "\n".join(lines)


def _number(card: Card) -> str:
    return f"n={card.num_judged} " if card.num_judged else ""


def _render_differences(card: Card) -> str:
    lines = [f"- {name}: {difference}" for name, difference in card.differences.items()]
    return "\n".join(["Difference in mean ROUGE, with 95% intervals over conversations:", "", *lines])


def draw_curve(curve: Sequence[LossPoint]) -> bytes:
    """The loss curve as a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    train = [(point.step, point.train_loss) for point in curve if point.train_loss is not None]
    watched = [(point.step, point.validation_loss) for point in curve if point.validation_loss is not None]
    # One step covers a few conversations and is noisy; the trend shows in the mean.
    mean = [
        (step, statistics.fmean(loss for _, loss in train[max(0, index - MEAN_STEPS + 1) : index + 1]))
        for index, (step, _) in enumerate(train)
    ]
    for points, label, style in (
        (train, "training", {"linewidth": 0.5, "alpha": 0.5}),
        (mean, f"training, mean of {MEAN_STEPS} steps", {"linewidth": 1.5}),
        (watched, "validation", {"marker": "o", "linewidth": 1}),
    ):
        if points:
            axes.plot(*zip(*points, strict=True), label=label, **style)
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    axes.legend()
    picture = BytesIO()
    figure.savefig(picture, format="png", dpi=110, metadata={"Software": None})
    return picture.getvalue()


def _used(recipe: Recipe) -> dict[str, object]:
    """The values of a recipe that took part: without preferences, all but those of the method."""
    values = asdict(recipe)
    if recipe.method != "sft":
        return values
    return {name: value for name, value in values.items() if name != "method" and not name.startswith("dpo_")}


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
