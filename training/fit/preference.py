"""Trains on preferences with trl's DPOTrainer: what reviewers wrote is preferred to what they corrected.

Loss, reference and metrics are trl's. The reference is what the training began with: the base model alone, or the
adapter that supervised training left. One pair at a time is computed, two rows of the trainer's batch, and gradients
are added up to the recipe's batch.
"""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import click
import torch
from datasets import Dataset
from peft import PeftModel
from transformers import PrinterCallback
from trl import DPOConfig, DPOTrainer

from aftercall.profile import load_profile
from training.data.example import Example
from training.data.trees import Tree, TreeEncoder
from training.fit.arguments import Outputs, common_arguments
from training.fit.checkpoint import find_checkpoint, has_checkpoint
from training.fit.distributed import is_first
from training.fit.forecast import Forecast, apply, find_limits, measure_cost, plan_run
from training.fit.lora import add_adapter, make_lora
from training.fit.plan import count_steps
from training.fit.recipe import Recipe
from training.fit.speed import Speed
from training.fit.stopwatch import Stopwatch
from training.fit.targets import FoundLayers, find_targets
from training.fit.train import device_name, find_stopwatch, widen
from training.fit.training_run import LossPoint, PreferenceRun, TrainingRun

#: The frozen copy of the adapter that trl adds as the reference.
_REFERENCE = "ref"
#: A pass of the reference, without gradients, on top of a forward and a backward pass.
_REFERENCE_TIME = 4 / 3


class PairTrainer(DPOTrainer):  # type: ignore[misc]  # trl is not typed
    """A DPOTrainer whose rows are encoded already, by the encoder that serving uses."""

    def _prepare_dataset(self, dataset: Dataset, *args: Any, **kwargs: Any) -> Dataset:
        return dataset


def encode_pairs(tokenizer: Any, examples: Sequence[Example], recipe: Recipe) -> list[Tree]:
    """One tree for each preference: its completions are the chosen and the rejected summary."""
    encoder = TreeEncoder(tokenizer, load_profile(recipe.profile))
    return [
        encoder.encode_pair(example, pair, recipe.max_prompt_tokens) for example in examples for pair in example.pairs
    ]


def train_on_pairs(
    recipe: Recipe, model: Any, tokenizer: Any, examples: Sequence[Example], outputs: Outputs, speed: Speed
) -> tuple[Any, TrainingRun]:
    """Train a base model's new adapter, or go on with a trained one; returns the peft model, and how the run went."""
    pairs = encode_pairs(tokenizer, examples, recipe)
    is_continued = isinstance(model, PeftModel)
    found = None if is_continued else find_targets(model, recipe.target_modules)
    forecast = _forecast(recipe, model, found, tokenizer, pairs, speed)
    if outputs.is_progress_shown and is_first():
        click.echo(f"DPO on {len(pairs)} pairs of summaries\n{forecast.describe()}")
    is_resuming = outputs.is_resuming and has_checkpoint(outputs.folder)
    with warnings.catch_warnings():
        # transformers deprecates names that trl and peft still use; a user cannot fix that.
        warnings.simplefilter("ignore", FutureWarning)
        trainer = _make_trainer(apply(recipe, forecast), found, (model, tokenizer), outputs, pairs)
        result = trainer.train(resume_from_checkpoint=str(find_checkpoint(outputs.folder)) if is_resuming else None)
    if is_continued:
        trainer.model.delete_adapter(_REFERENCE)
    history = [entry for entry in trainer.state.log_history if "rewards/accuracies" in entry]
    num_trainable, num_parameters = trainer.model.get_nb_trainable_parameters()
    return trainer.model, TrainingRun(
        num_trainable_parameters=num_trainable,
        num_parameters=num_parameters,
        num_steps=result.global_step,
        num_tokens=sum(pair.num_tokens for pair in pairs),
        duration_s=find_stopwatch(trainer).read(),
        device=device_name(),
        curve=tuple(LossPoint(int(entry["step"]), entry["epoch"], entry["loss"], None) for entry in history),
        preference=PreferenceRun(
            num_pairs=len(pairs),
            num_steps=result.global_step,
            losses=tuple(entry["loss"] for entry in history),
            accuracies=tuple(entry["rewards/accuracies"] for entry in history),
        ),
    )


def _make_trainer(
    recipe: Recipe, found: FoundLayers | None, loaded: tuple[Any, Any], outputs: Outputs, pairs: Sequence[Tree]
) -> PairTrainer:
    """A trainer of a new adapter on the layers found, or of the model's own adapter if there are none to find."""
    model, tokenizer = loaded
    trainer = PairTrainer(
        model=model,
        args=_make_arguments(recipe, outputs, len(pairs)),
        train_dataset=Dataset.from_list([_to_row(pair) for pair in pairs]),
        processing_class=tokenizer,
        peft_config=make_lora(recipe, found) if found else None,
        callbacks=[Stopwatch()],
    )
    if not outputs.is_progress_shown:
        trainer.remove_callback(PrinterCallback)
    if trainer.args.fp16:
        widen(trainer.model)
    return trainer


def add_runs(supervised: TrainingRun, preferred: TrainingRun) -> TrainingRun:
    """Supervised training and the preferences after it as one run; the loss curve is that of the first."""
    return replace(
        supervised,
        num_steps=supervised.num_steps + preferred.num_steps,
        duration_s=supervised.duration_s + preferred.duration_s,
        preference=preferred.preference,
    )


def _make_arguments(recipe: Recipe, outputs: Outputs, num_pairs: int) -> DPOConfig:
    arguments = DPOConfig(
        per_device_train_batch_size=1,
        gradient_accumulation_steps=recipe.batch_size * recipe.num_accumulated_batches,
        learning_rate=recipe.dpo_learning_rate,
        num_train_epochs=recipe.dpo_epochs,
        beta=recipe.dpo_beta,
        eval_strategy="no",
        **common_arguments(recipe, outputs),
    )
    arguments.warmup_steps = round(recipe.warmup_share * _count_steps(recipe, num_pairs))
    # transformers would split a batch over all visible GPUs with DataParallel, which trl refuses.
    arguments._n_gpu = 1
    return arguments


def _count_steps(recipe: Recipe, num_pairs: int) -> int:
    return count_steps(replace(recipe, num_epochs=recipe.dpo_epochs), num_pairs, num_processes=1)


def _to_row(pair: Tree) -> dict[str, list[int]]:
    chosen, rejected = pair.completions
    return {"prompt_ids": list(pair.prompt), "chosen_ids": list(chosen), "rejected_ids": list(rejected)}


def _forecast(
    recipe: Recipe, model: Any, found: FoundLayers | None, tokenizer: Any, pairs: Sequence[Tree], speed: Speed
) -> Forecast:
    """What the run will take: a pair is two rows of its own, which together are as long as two trees."""
    trees = [Tree(pair.prompt, (completion,)) for pair in pairs for completion in pair.completions]
    head = model.get_output_embeddings()
    with torch.random.fork_rng():
        adapted = add_adapter(model, recipe, found) if found else model
        cost = measure_cost(adapted, trees, tokenizer.pad_token_id, with_prompt=False, head=head)
        limits = replace(find_limits(adapted, speed.max_bytes), max_row_tokens=None)
        if found:
            adapted.unload()
    # A step has two trees for each pair, and a pair is never split.
    one_pair = replace(recipe, batch_size=2, num_accumulated_batches=recipe.batch_size * recipe.num_accumulated_batches)
    forecast = plan_run(one_pair, cost, trees, limits, _count_steps(recipe, len(pairs)))
    is_checkpointing = forecast.is_gradient_checkpointing or forecast.max_row_tokens is not None
    return replace(
        forecast,
        max_row_tokens=None,
        is_gradient_checkpointing=is_checkpointing,
        duration_s=forecast.duration_s * _REFERENCE_TIME,
    )
