"""Trains an adapter, evaluates it and publishes it: everything up to registering it as a candidate."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aftercall.errors import AdapterError
from aftercall.profile import load_profile
from aftercall.settings import Settings
from training.data.dataset import digest_examples
from training.data.splits import Splits, save_trained_on
from training.fit.arguments import Outputs
from training.fit.averaging import train_averaged
from training.fit.checkpoint import begin_run, check_run, saving
from training.fit.distributed import is_first, run_together
from training.fit.preference import add_runs, train_on_pairs
from training.fit.recipe import Recipe
from training.fit.speed import Speed
from training.fit.train import DEFAULT_SPEED
from training.fit.training_run import TrainingRun
from training.judge.baselines import judge_baselines
from training.judge.bootstrap import compare
from training.judge.evaluate import Evaluation
from training.judge.judgement import BASE_EVALUATION_FILE, EVALUATION_FILE, Judgement, save_judgement
from training.judge.served import judge_base_alike, judge_served
from training.judge.store import Judgements
from training.registry.card import TWEETSUMM_LICENCES, UNKNOWN_LICENCES, Card, write_card
from training.registry.gate import RANKING_METRIC
from training.registry.publish import Finish, Origin, describe, publish, save_weights
from worker.adapters.manifest import AdapterManifest, write_manifest
from worker.loading.load import LoadedModel, ModelProvenance, ModelSettings, load_model

#: In a run's folder: the adapter before it was trained on preferences.
_SUPERVISED_DIR = "adapter-sft"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to train, on what data, and where to put the result."""

    recipe: Recipe
    #: The sources as given to `--data`; the card lists them.
    sources: Sequence[str]
    splits: Splits
    outputs: Outputs
    #: Adapters are published here, one folder each.
    adapters_dir: Path
    #: How the new adapter will be served, and so is evaluated; the base model is the recipe's.
    settings: Settings
    #: Folder of the adapter that workers serve now; the card compares the new one with it.
    served: Path | None = None
    speed: Speed = DEFAULT_SPEED


def refresh(plan: Plan) -> Path:
    """Train, evaluate and publish; returns the published folder.

    Raises AdapterError if training diverged; then nothing is published.
    """
    begin = check_run if plan.outputs.is_resuming else begin_run
    begin(plan.outputs.folder, plan.recipe, plan.splits, plan.speed.num_processes)
    saved = plan.outputs.folder / "adapter"
    training, provenance = train_and_save(plan, saved)
    evaluation = _judge_saved(plan, saved, provenance)
    if not math.isfinite(evaluation.loss.loss):
        raise AdapterError("the adapter's loss is NaN: training diverged; train again with a lower learning rate")
    number = {"num_conversations": float(evaluation.judgement.num_conversations)}
    figures = evaluation.judgement.means() | evaluation.figures() | number
    supervised = plan.outputs.folder / _SUPERVISED_DIR
    before = _judge_saved(plan, supervised, provenance).judgement if plan.recipe.method == "sft+dpo" else None
    finish = _finish(plan, training, evaluation, before)
    return publish(saved, plan.adapters_dir, _origin(plan, provenance, figures), finish)


def _judge_saved(plan: Plan, saved: Path, provenance: ModelProvenance) -> Evaluation:
    write_manifest(saved, describe(saved, _origin(plan, provenance, {})))
    return judge_served(_served(plan), saved, plan.splits.validation)


def train_and_save(plan: Plan, saved: Path) -> tuple[TrainingRun, ModelProvenance]:
    """Train in the planned number of processes and write the adapter's two files to `saved`."""
    return run_together(plan.speed.num_processes, _train, plan, saved)


def _train(plan: Plan, saved: Path) -> tuple[TrainingRun, ModelProvenance]:
    recipe = plan.recipe
    loaded = load_model(
        ModelSettings(recipe.base, recipe.quantization, recipe.compute_dtype, None, "auto", plan.settings.data_dir)
    )
    with saving(plan.outputs.folder):
        model, training = _train_by_method(plan, loaded)
        if is_first():
            save_weights(model, saved, loaded.provenance.base_model)
    return training, loaded.provenance


def _train_by_method(plan: Plan, loaded: LoadedModel) -> tuple[Any, TrainingRun]:
    recipe, outputs, train = plan.recipe, plan.outputs, plan.splits.train
    if recipe.method == "dpo":
        return train_on_pairs(recipe, loaded.model, loaded.tokenizer, train, outputs, plan.speed)
    model, training = train_averaged(recipe, loaded.model, loaded.tokenizer, plan.splits, outputs, plan.speed)
    if recipe.method == "sft":
        return model, training
    if is_first():
        save_weights(model, outputs.folder / _SUPERVISED_DIR, loaded.provenance.base_model)
    second = replace(outputs, folder=outputs.folder / "dpo")
    model, preferred = train_on_pairs(recipe, model, loaded.tokenizer, train, second, plan.speed)
    return model, add_runs(training, preferred)


def _served(plan: Plan) -> Settings:
    return plan.settings.model_copy(update={"base_model": plan.recipe.base, "profile": plan.recipe.profile})


def _origin(plan: Plan, provenance: ModelProvenance, metrics: dict[str, float]) -> Origin:
    return Origin(
        base_model=provenance.base_model,
        base_digest=provenance.base_digest,
        quantization=provenance.quantization,
        recipe=plan.recipe.name,
        prompt_version=load_profile(plan.recipe.profile).id,
        data_digest=digest_examples(plan.splits.train),
        redact=plan.settings.redact,
        metrics={name: round(value, 4) for name, value in metrics.items()},
    )


def _finish(plan: Plan, training: TrainingRun, evaluation: Evaluation, supervised: Judgement | None) -> Finish:
    """Returns the function that completes the published folder: the judgements that the gate reads, and the card.

    Args:
        supervised: of the adapter before it was trained on preferences, if it was trained on both.
    """
    ours = evaluation.judgement
    base = judge_base_alike(_served(plan), evaluation, plan.splits.validation)
    scores = {"this adapter": ours, "base model alone": base}
    if supervised:
        scores["SFT alone, on the same data"] = supervised
    judgements = Judgements(plan.settings.judgements_dir)
    if plan.served and (kept := judgements.find_comparable(plan.served, ours)):
        scores[f"active before: {kept.name}"] = kept
    scores |= {judgement.name: judgement for judgement in judge_baselines(plan.splits.validation)}
    differences = {
        name: str(compare(ours.values(RANKING_METRIC), other.values(RANKING_METRIC)))
        for name, other in scores.items()
        if other is not ours and other.data_digest == ours.data_digest
    }

    def finish(folder: Path, manifest: AdapterManifest) -> None:
        save_trained_on(folder, plan.splits.train)
        save_judgement(folder / EVALUATION_FILE, ours, evaluation.figures())
        save_judgement(folder / BASE_EVALUATION_FILE, base, {})
        card = Card(
            manifest=manifest,
            recipe=plan.recipe,
            training=training,
            data=", ".join(plan.sources),
            licences=_licences(plan.sources),
            scores={name: judgement.means() for name, judgement in scores.items()},
            judged_on=evaluation.provenance.held,
            num_judged=ours.num_conversations,
            differences=differences,
        )
        write_card(folder, card)

    return finish


def _licences(sources: Sequence[str]) -> str:
    is_tweetsumm = all("tweetsumm" in source.casefold() or "dialogstudio" in source.casefold() for source in sources)
    return TWEETSUMM_LICENCES if is_tweetsumm else UNKNOWN_LICENCES
