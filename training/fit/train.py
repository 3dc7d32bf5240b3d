"""Trains a LoRA adapter on a loaded model, with trl, and reports how the run went."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import torch
from transformers import EarlyStoppingCallback, PrinterCallback
from trl import SFTConfig

from aftercall.profile import load_profile
from training.data.dataset import Example
from training.data.splits import Splits
from training.data.trees import Tree, TreeEncoder
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """Where a run writes, and what it shows."""

    #: Holds the checkpoints, one per epoch.
    folder: Path
    #: Report losses as the recipe's `report_to` says; TensorBoard's logs go to `folder`/runs.
    is_logged: bool = False
    #: Resume from the last checkpoint in `folder`.
    is_resuming: bool = False
    is_progress_shown: bool = True


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
        duration_s=_find_stopwatch(trainer).read(),
        device=_device_name(),
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
    is_cuda = torch.cuda.is_available()
    is_bf16 = is_cuda and torch.cuda.is_bf16_supported(including_emulation=False)
    arguments = SFTConfig(
        output_dir=str(outputs.folder),
        per_device_train_batch_size=recipe.batch_size,
        per_device_eval_batch_size=recipe.batch_size,
        gradient_accumulation_steps=recipe.num_accumulated_batches,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type=recipe.schedule,
        weight_decay=recipe.weight_decay,
        num_train_epochs=recipe.num_epochs,
        max_steps=recipe.max_steps or -1,
        # Without this, several processes on a machine without a GPU do not form a group.
        use_cpu=not is_cuda,
        bf16=is_bf16,
        fp16=is_cuda and not is_bf16,
        dataloader_pin_memory=is_cuda,
        seed=recipe.seed,
        data_seed=recipe.seed + recipe.data_order,
        logging_steps=1,
        # Checking each loss for NaN would synchronize host and GPU at every step.
        logging_nan_inf_filter=False,
        ddp_find_unused_parameters=False,
        eval_strategy="epoch" if is_watched else "no",
        save_strategy="epoch",
        save_total_limit=2,
        load_best_model_at_end=recipe.patience > 0,
        # Otherwise a resumed run would start with full patience and zero elapsed time.
        restore_callback_states_from_checkpoint=True,
        report_to=list(recipe.report_to) if outputs.is_logged else [],
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
        remove_unused_columns=False,
        disable_tqdm=not outputs.is_progress_shown,
        **checkpointing(recipe.is_gradient_checkpointing),
    )
    arguments.warmup_steps = round(recipe.warmup_share * count_steps(recipe, num_trees, arguments.world_size))
    # transformers would split a batch over all visible GPUs with DataParallel, and a packed row cannot be split.
    arguments._n_gpu = 1
    return arguments


def checkpointing(is_on: bool) -> dict[str, bool]:
    """The SFTConfig option for gradient checkpointing: its name differs by version, and trl's default is on."""
    has_new_name = "activation_checkpointing" in SFTConfig.__dataclass_fields__
    return {"activation_checkpointing" if has_new_name else "gradient_checkpointing": is_on}


def _find_stopwatch(trainer: TreeTrainer) -> Stopwatch:
    """The trainer's stopwatch; a resumed trainer replaces the one it was given with one from the checkpoint."""
    return next(callback for callback in trainer.callback_handler.callbacks if isinstance(callback, Stopwatch))


def _device_name() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"


def _read_curve(history: Sequence[dict[str, float]]) -> tuple[LossPoint, ...]:
    return tuple(
        LossPoint(int(entry["step"]), entry["epoch"], entry.get("loss"), entry.get("eval_loss"))
        for entry in history
        if "loss" in entry or "eval_loss" in entry
    )
