"""`aftercall refresh`: from reviewed summaries to a promoted adapter, or to the reason why not, without supervision.

Made for a timer. The same input gives the same outcome without training again, a killed refresh resumes from its last
checkpoint, and a lock keeps two of them apart.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from aftercall.errors import (
    EXIT_KEPT,
    EXIT_NOT_ENOUGH_DATA,
    EXIT_REFRESH_FAILED,
    AdapterError,
    AftercallError,
)
from aftercall.ledger.workers import alive
from aftercall.run_lock import holding
from training.context import TrainingContext, find_served, register
from training.data.dataset import DEFAULT_READING, Example, digest_examples
from training.data.labelled import Reading
from training.data.review_import import ImportReport, import_review
from training.data.splits import Splits, count_pairs, find_unseen, read_splits
from training.files import write_artifact
from training.fit.checkpoint import has_checkpoint
from training.fit.recipe import Recipe
from training.judge.judgement import Judgement
from training.registry.gate import MIN_CONVERSATIONS, GateReport
from training.registry.promotion import ask_gate, promote
from worker.serving.desired import DesiredAdapter

#: Under the data folder: the training file of all corrections, runs, reports, the lock and the last outcome.
REFRESH_DIR = "refresh"
CORRECTIONS_FILE = "corrections.csv"
_STATE_FILE = "last.json"
_LOCK_FILE = "lock"


class Outcome(StrEnum):
    """How a refresh ended that did not fail."""

    PROMOTED = "promoted"
    #: The gate refused the new adapter; what was served stays.
    KEPT = "kept"
    NOT_ENOUGH_DATA = "not enough data"

    @property
    def exit_code(self) -> int:
        """One code per outcome."""
        return {
            Outcome.PROMOTED: 0,
            Outcome.KEPT: EXIT_KEPT,
            Outcome.NOT_ENOUGH_DATA: EXIT_NOT_ENOUGH_DATA,
        }[self]


class RefreshFailedError(AftercallError):
    """A refresh that could not come to a decision; what was served is unchanged."""

    exit_code = EXIT_REFRESH_FAILED


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to refresh from, and how."""

    reviews: Sequence[Path]
    #: Further labelled data, as `aftercall train --data` takes it.
    sources: Sequence[str]
    recipe: Recipe
    reading: Reading = DEFAULT_READING
    allows_tie: bool = False
    #: Memory that training may take on top of the loaded model; None: a share of what is free.
    max_bytes: int | None = None
    #: How long to wait for a GPU that workers use.
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a refresh came to; the report shows all of it."""

    outcome: Outcome
    #: The reasons for the outcome, a sentence each.
    reasons: tuple[str, ...]
    #: Digest over everything that the outcome depends on.
    key: str
    num_train: int = 0
    num_held_out: int = 0
    sources: tuple[str, ...] = ()
    imports: dict[str, ImportReport] = field(default_factory=dict)
    candidate: Path | None = None
    served: str = ""
    gate: GateReport | None = None
    ours: Judgement | None = None
    theirs: Judgement | None = None
    examples: tuple[Example, ...] = ()
    #: Whether an earlier refresh of the same input came to this.
    is_repeated: bool = False


def run_refresh(context: TrainingContext, request: Request) -> Result:
    """Import reviews, train, judge, and promote if the gate lets the adapter pass.

    Raises RefreshFailedError if another refresh is running or a step fails; what is served is unchanged then.
    """
    home = context.settings.data_dir / REFRESH_DIR
    home.mkdir(parents=True, exist_ok=True)
    with holding(home / _LOCK_FILE, _refuse):
        try:
            return _run(context, request, home)
        except AftercallError as error:
            raise RefreshFailedError(f"the refresh failed, and what is served is unchanged: {error}") from error


def _run(context: TrainingContext, request: Request, home: Path) -> Result:
    corrections = home / CORRECTIONS_FILE
    imports = {str(path): import_review(context.database, path, corrections) for path in request.reviews}
    sources = (*request.sources, *([str(corrections)] if corrections.is_file() else []))
    served = find_served(context, request.recipe.base)
    splits = _split(sources, request.reading, served)
    known = Result(
        outcome=Outcome.NOT_ENOUGH_DATA,
        reasons=(),
        key=_make_key(request, splits, served),
        num_train=len(splits.train),
        num_held_out=len(splits.validation),
        sources=sources,
        imports=imports,
        served=served.digest,
    )
    if before := _find_repeated(home, known):
        return before
    if missing := _find_missing(splits, request.recipe):
        return replace(known, reasons=missing)
    result = _train_and_decide(context, request, splits, served, known)
    state = {"key": result.key, "outcome": result.outcome, "reasons": result.reasons}
    # A promotion changes what is served, so the next refresh of the same data has the promoted adapter to beat.
    now = find_served(context, request.recipe.base)
    state["key"] = _make_key(request, _split(sources, request.reading, now), now)
    write_artifact(home / _STATE_FILE, json.dumps(state, indent=1).encode() + b"\n")
    return result


def _split(sources: Sequence[str], reading: Reading, served: DesiredAdapter) -> Splits:
    """What to train on, and held-out conversations that the served adapter was not trained on either."""
    if not sources:
        return Splits((), ())
    splits = read_splits(sources, reading)
    if served.folder is None or not served.folder.is_dir():
        return splits
    return replace(splits, validation=find_unseen(served.folder, splits.validation))


def _find_missing(splits: Splits, recipe: Recipe) -> tuple[str, ...]:
    reasons = []
    if not splits.train:
        reasons.append("no labelled conversation to train on")
    if recipe.trains_on_pairs and splits.train and not count_pairs(splits):
        reasons.append("no correction with the summary that was served, which dpo trains on")
    if len(splits.validation) < MIN_CONVERSATIONS:
        reasons.append(
            f"{len(splits.validation)} held-out conversations that the served adapter was not trained on, and the gate "
            f"needs {MIN_CONVERSATIONS}: review more summaries, or add --data"
        )
    return tuple(reasons)


def _train_and_decide(
    context: TrainingContext, request: Request, splits: Splits, served: DesiredAdapter, known: Result
) -> Result:
    # These import torch, which a refresh without enough data does not need.
    from training.fit.arguments import Outputs
    from training.fit.speed import Speed
    from training.gpu_turn import read_gpu, wait_for_gpu
    from training.judge.served import judge_served
    from training.refresh import Plan, refresh

    settings = context.settings
    wait_for_gpu(lambda: alive(context.database), request.wait_s, read_gpu)
    folder = settings.data_dir / REFRESH_DIR / "runs" / known.key
    plan = Plan(
        recipe=request.recipe,
        sources=known.sources,
        splits=splits,
        outputs=Outputs(folder=folder, is_logged=True, is_resuming=has_checkpoint(folder)),
        adapters_dir=settings.adapters_dir,
        settings=settings,
        served=served.folder,
        speed=Speed(max_bytes=request.max_bytes),
    )
    entry = register(context, refresh(plan))
    ours = context.judgements.find(entry.path)
    if served.folder and context.judgements.find_comparable(served.folder, ours) is None:
        as_served = settings.model_copy(update={"base_model": request.recipe.base})
        evaluation = judge_served(as_served, served.folder, splits.validation)
        context.judgements.keep(served.folder, evaluation.judgement, evaluation.figures())
    theirs = context.judgements.find(served.folder) if served.folder else context.judgements.find_base(entry.path)
    found = replace(known, candidate=entry.path, ours=ours, theirs=theirs, examples=tuple(splits.validation))
    if entry.digest == served.digest:
        return replace(found, outcome=Outcome.KEPT, reasons=("training gave the adapter that is already served",))
    gate = ask_gate(entry, served, context.judgements, allows_tie=request.allows_tie)
    if not gate.is_passed:
        return replace(found, outcome=Outcome.KEPT, reasons=gate.refusals, gate=gate)
    promote(context.database, entry.digest, served, context.judgements, allows_tie=request.allows_tie)
    return replace(found, outcome=Outcome.PROMOTED, reasons=("the gate let it pass",), gate=gate)


def _make_key(request: Request, splits: Splits, served: DesiredAdapter) -> str:
    """16 digits over the recipe, the data, what is served, and the gate's option."""
    parts = {
        "recipe": asdict(request.recipe),
        "train": digest_examples(splits.train),
        "held out": digest_examples(splits.validation),
        "served": served.digest,
        "allows tie": request.allows_tie,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _find_repeated(home: Path, known: Result) -> Result | None:
    """The outcome of an earlier refresh with the same key."""
    try:
        state = json.loads((home / _STATE_FILE).read_bytes())
        if state["key"] != known.key:
            return None
        outcome = Outcome(state["outcome"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise AdapterError(f"{home / _STATE_FILE} is damaged ({error!r}); remove it and start again") from error
    return replace(known, outcome=outcome, reasons=tuple(state["reasons"]), is_repeated=True)


def _refuse(holder: str) -> RefreshFailedError:
    return RefreshFailedError(f"another refresh is running: {holder}. Wait until it ends.")
