"""Trains a LoRA adapter on a loaded model, with trl, and reports how the run went."""

import warnings
from collections.abc import Sequence
from typing import Any

import click
import torch
from transformers import EarlyStoppingCallback, PrinterCallback, Trainer
from trl import SFTConfig

from aftercall.profile import load_profile
from training.data.dataset import Example
from training.data.splits import Splits
from training.data.trees import Tree, TreeEncoder
from training.fit.arguments import Outputs, common_arguments
from training.fit.checkpoint import find_checkpoint
from training.fit.distributed import is_first
from training.fit.lora import make_lora
from training.fit.plan import Planned, count_steps, make_plan
from training.fit.recipe import Recipe
from training.fit.reference_choice import choose_references
from training.fit.speed import Speed, optimize_layers
from training.fit.stopwatch import Stopwatch
from training.fit.trainer import TreeTrainer, make_collator, make_dataset
from training.fit.training_run import LossPoint, TrainingRun

DEFAULT_SPEED = Speed()


def train_adapter(
    recipe: Recipe, model: Any, tokenizer: Any, splits: Splits, outputs: Outputs, speed: Speed = DEFAULT_SPEED
) -> tuple[Any, TrainingRun]:
    """Train a LoRA adapter; returns the peft model with the trained weights, and how the run went."""
    trees = _encode(tokenizer, choose_references(splits.train, recipe.references), recipe)
    watched = _encode(tokenizer, splits.validation, recipe)
    checkpoint = find_checkpoint(outputs.folder) if outputs.is_resuming else None
    planned = make_plan(recipe, model, tokenizer, trees, speed)
    if outputs.is_progress_shown and is_first():
        click.echo(planned.describe())
    with warnings.catch_warnings():
        # transformers deprecates names that trl and peft still use; a user cannot fix that.
        warnings.simplefilter("ignore", FutureWarning)
        trainer = _make_trainer(planned, tokenizer, outputs, (trees, watched))
        optimizations = optimize_layers(trainer.model, speed)
        result = trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    num_trainable, num_parameters = trainer.model.get_nb_trainable_parameters()
    training = TrainingRun(
        num_trainable_parameters=num_trainable,
        num_parameters=num_parameters,
        num_steps=result.global_step,
        num_tokens=sum(tree.num_tokens for tree in trees),
        duration_s=find_stopwatch(trainer).read(),
        device=device_name(),
        curve=_read_curve(trainer.state.log_history),
        num_processes=trainer.accelerator.num_processes,
        is_dequantized=optimizations.is_dequantized,
        is_compiled=optimizations.is_compiled,
    )
    return trainer.model, training


def _make_trainer(
    planned: Planned, tokenizer: Any, outputs: Outputs, splits: tuple[list[Tree], list[Tree]]
) -> TreeTrainer:
    recipe, (train, validation) = planned.recipe, splits
    trainer = TreeTrainer(
        model=planned.model,
        args=_make_arguments(recipe, outputs, len(train), is_watched=bool(validation)),
        train_dataset=make_dataset(train),
        eval_dataset=make_dataset(validation) if validation else None,
        processing_class=tokenizer,
        data_collator=make_collator(
            tokenizer.pad_token_id,
            with_prompt=recipe.loss_on == "full",
            max_row_tokens=planned.max_row_tokens,
        ),
        peft_config=make_lora(recipe, planned.found),
        callbacks=[Stopwatch(), *([EarlyStoppingCallback(recipe.patience)] if recipe.patience else [])],
    )
    trainer.head = planned.head
    if not outputs.is_progress_shown:
        trainer.remove_callback(PrinterCallback)
    if trainer.args.fp16:
        widen(trainer.model)
    return trainer


def widen(model: Any) -> None:
    """Cast the adapter to float32.

    trl makes it bfloat16 on quantized weights, and the gradient scaler for float16 refuses bfloat16 gradients.
    """
    for weight in model.parameters():
        if weight.requires_grad:
            weight.data = weight.data.float()


def _encode(tokenizer: Any, examples: Sequence[Example], recipe: Recipe) -> list[Tree]:
    encoder = TreeEncoder(tokenizer, load_profile(recipe.profile))
    return [encoder.encode(example, recipe.max_prompt_tokens) for example in examples]


def _make_arguments(recipe: Recipe, outputs: Outputs, num_trees: int, *, is_watched: bool) -> SFTConfig:
    arguments = SFTConfig(
        per_device_train_batch_size=recipe.batch_size,
        per_device_eval_batch_size=recipe.batch_size,
        gradient_accumulation_steps=recipe.num_accumulated_batches,
        learning_rate=recipe.learning_rate,
        num_train_epochs=recipe.num_epochs,
        ddp_find_unused_parameters=False,
        eval_strategy="epoch" if is_watched else "no",
        load_best_model_at_end=recipe.patience > 0,
        dataset_kwargs={"skip_prepare_dataset": True},
        remove_unused_columns=False,
        **common_arguments(recipe, outputs),
    )
    arguments.warmup_steps = round(recipe.warmup_share * count_steps(recipe, num_trees, arguments.world_size))
    # transformers would split a batch over all visible GPUs with DataParallel, and a packed row cannot be split.
    arguments._n_gpu = 1
    return arguments


def find_stopwatch(trainer: Trainer) -> Stopwatch:
    """The trainer's stopwatch; a resumed trainer replaces the one it was given with one from the checkpoint."""
    return next(callback for callback in trainer.callback_handler.callbacks if isinstance(callback, Stopwatch))


def device_name() -> str:
    """What trains here: the GPU's name, or CPU."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"


def _read_curve(history: Sequence[dict[str, float]]) -> tuple[LossPoint, ...]:
    return tuple(
        LossPoint(int(entry["step"]), entry["epoch"], entry.get("loss"), entry.get("eval_loss"))
        for entry in history
        if "loss" in entry or "eval_loss" in entry
    )
