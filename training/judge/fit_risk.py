"""Fit the risk of a summary to judged ones, and show what reading the riskiest finds.

    python -m training.judge.fit_risk corruptions FOLDER --out judged.jsonl   # made of labelled rows, without a model
    python -m training.judge.fit_risk fit judged.jsonl … --out risk.json      # the coefficients, and the curve

A judged summary is a line of `id`, `summary`, `signals` (as the verdict measures them), `faulty` and `kinds`; `group`
(a trade) keeps related ones on one side when the fit is tested.
"""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import click
import numpy as np

from aftercall.conversation import Turn
from aftercall.files import write_whole
from producer.clean import clean_turns
from training.judge.corruptions import corrupt
from worker.verdict.risk import RISK_FILE, RiskModel
from worker.verdict.verdict import Circumstances, measure

#: Strength of the ridge, in pseudo-observations a coefficient.
_RIDGE = 1.0
_NUM_FOLDS = 6
#: Shares read, riskiest first.
_READ = (0.05, 0.10, 0.25, 0.50)
#: Of the summaries that are right, the share that the threshold sends to a person.
_NEEDLESS = 0.10


@dataclass(frozen=True, slots=True)
class Judged:
    """A summary that was judged."""

    id: str
    summary: str
    signals: dict[str, float]
    faulty: bool
    kinds: tuple[str, ...]
    group: str = ""


def read_judged(paths: Iterable[Path]) -> list[Judged]:
    """Judged summaries of several files."""
    rows = [json.loads(line) for path in paths for line in path.read_text(encoding="utf-8").splitlines() if line]
    return [Judged(**{**row, "kinds": tuple(row["kinds"])}) for row in rows]


def make_judged(rows: Sequence[dict[str, Any]]) -> list[Judged]:
    """References, which are right, and one corruption for each, of a kind drawn anew."""
    judged = []
    for row in rows:
        turns = clean_turns(Turn(turn["speaker"], turn["text"]) for turn in row["turns"])
        random = Random(row["id"])
        for reference in row["references"][:2]:
            spoilt = corrupt(row, reference)
            chosen = random.sample(spoilt, min(1, len(spoilt)))
            for kinds, summary in [((), reference), *(((kind,), text) for kind, text in chosen)]:
                signals = dict(measure(turns, summary, Circumstances()).signals)
                judged.append(Judged(row["id"], summary, signals, bool(kinds), kinds, row["trade"]))
    return judged


def fit(judged: Sequence[Judged]) -> RiskModel:
    """A ridge logistic by Newton's method; signals that never vary are left out."""
    names = sorted({name for each in judged for name in each.signals})
    table = np.array([[each.signals.get(name, 0.0) for name in names] for each in judged])
    kept = table.std(axis=0) > 1e-9
    names = [name for name, is_kept in zip(names, kept, strict=True) if is_kept]
    inputs = np.column_stack([np.ones(len(judged)), table[:, kept]])
    wanted = np.array([each.faulty for each in judged], dtype=float)
    ridge = np.diag([0.0, *[_RIDGE] * len(names)])
    weights = np.zeros(inputs.shape[1])
    for _ in range(30):
        risks = 1.0 / (1.0 + np.exp(-inputs @ weights))
        slope = inputs.T @ (risks - wanted) + ridge @ weights
        curvature = inputs.T @ (inputs * (risks * (1 - risks))[:, None]) + ridge
        weights = weights - np.linalg.solve(curvature, slope)
    risks = 1.0 / (1.0 + np.exp(-inputs @ weights))
    threshold = float(np.quantile(risks[wanted == 0.0], 1 - _NEEDLESS))
    coefficients = {name: round(float(weight), 4) for name, weight in zip(names, weights[1:], strict=True)}
    return RiskModel(len(judged), round(float(weights[0]), 4), coefficients, round(threshold, 3))


def assume_share(model: RiskModel, judged: Sequence[Judged], share: float) -> RiskModel:
    """The model for summaries of which this share is faulty, where more or fewer of the judged ones are."""
    found = sum(each.faulty for each in judged) / len(judged)
    shift = math.log(share / (1 - share)) - math.log(found / (1 - found))
    odds = model.threshold / (1 - model.threshold) * math.exp(shift)
    return replace(model, intercept=round(model.intercept + shift, 4), threshold=round(odds / (1 + odds), 3))


def cross_validate(judged: Sequence[Judged]) -> list[float]:
    """Each summary's risk by a model that was fitted without its group."""
    groups = sorted({each.group for each in judged})
    Random(0).shuffle(groups)
    fold_of = {group: index % _NUM_FOLDS for index, group in enumerate(groups)}
    risks = [0.0] * len(judged)
    for fold in range(_NUM_FOLDS):
        model = fit([each for each in judged if fold_of[each.group] != fold])
        for index, each in enumerate(judged):
            if fold_of[each.group] == fold:
                risks[index] = model.risk(each.signals)
    return risks


def measure_auc(risks: Sequence[float], faulty: Sequence[bool]) -> float:
    """The probability that a faulty summary has a higher risk than one that is right."""
    wrong = np.array([risk for risk, is_faulty in zip(risks, faulty, strict=True) if is_faulty])
    right = np.array([risk for risk, is_faulty in zip(risks, faulty, strict=True) if not is_faulty])
    if not len(wrong) or not len(right):
        return math.nan
    above = (wrong[:, None] > right).mean() + 0.5 * (wrong[:, None] == right).mean()
    return float(above)


def find_shares(risks: Sequence[float], faulty: Sequence[bool]) -> list[float]:
    """Of the faulty summaries, the shares that are among the riskiest 5, 10, 25 and 50 per cent."""
    order = sorted(range(len(risks)), key=lambda index: -risks[index])
    total = sum(faulty) or 1
    return [sum(faulty[index] for index in order[: round(len(order) * read)]) / total for read in _READ]


@click.group()
def main() -> None:
    """Fit the risk of a summary."""


@main.command()
@click.argument("folder", type=click.Path(exists=True, path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True)
def corruptions(folder: Path, out: Path) -> None:
    """Judge the references and corruptions of FOLDER's labelled rows."""
    lines = [line for path in sorted(folder.glob("*.jsonl")) for line in path.read_text().splitlines() if line.strip()]
    judged = make_judged([row for row in map(json.loads, lines) if "turns" in row])
    write_whole(out, "".join(json.dumps(asdict(each)) + "\n" for each in judged).encode())
    click.echo(f"{len(judged)} judged summaries, {sum(each.faulty for each in judged)} of them faulty, in {out}")


@main.command(name="fit")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), default=RISK_FILE, show_default=True)
@click.option("--share", type=float, help="Share of summaries that are faulty, where the judged ones were chosen.")
@click.option("--fitted-on", default="", help="What was judged, in words.")
def fit_command(paths: tuple[Path, ...], out: Path, share: float | None, fitted_on: str) -> None:
    """Fit on the judged summaries in PATHS, and show what the risk finds on groups that it did not see."""
    judged = read_judged(paths)
    risks, faulty = cross_validate(judged), [each.faulty for each in judged]
    model = fit(judged) if share is None else assume_share(fit(judged), judged, share)
    write_whole(out, (json.dumps(asdict(model) | {"fitted_on": fitted_on}, indent=1) + "\n").encode())
    click.echo(f"{len(judged)} judged, {sum(faulty)} faulty; AUC on unseen groups {measure_auc(risks, faulty):.3f}")
    for read, found in zip(_READ, find_shares(risks, faulty), strict=True):
        click.echo(f"  reading the riskiest {read:4.0%} finds {found:4.0%} of the faulty (at random: {read:.0%})")
    for kind in sorted({kind for each in judged for kind in each.kinds}):
        of_kind = [index for index, each in enumerate(judged) if not each.faulty or kind in each.kinds]
        auc = measure_auc([risks[index] for index in of_kind], [faulty[index] for index in of_kind])
        click.echo(f"  {kind:18} AUC {auc:.3f}  n {sum(kind in each.kinds for each in judged)}")


if __name__ == "__main__":
    main()
