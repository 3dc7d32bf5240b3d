"""Training: labelled conversations and a recipe in, LoRA weights on a model and the story of the run out.

Knows a model that somebody loaded, and trl. It knows no registry, no gate and no database.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from transformers import EarlyStoppingCallback, PrinterCallback
from trl import SFTConfig

from aftercall.profile import load_profile
from training.data.dataset import Example
from training.data.splits import Splits
from training.data.trees import Tree, TreeEncoder
from training.fit.checkpoint import find_checkpoint
from training.fit.recipe import Recipe
from training.fit.reference_choice import choose_references
from training.fit.speed import Speed, optimize_layers
from training.fit.stopwatch import Stopwatch
from training.fit.trainer import TreeTrainer, make_collator, make_dataset
from training.fit.training_run import LossPoint, TrainingRun

DEFAULT_SPEED = Speed()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """Where a run writes, and how."""

    #: Checkpoints, one an epoch.
    folder: Path
    #: TensorBoard's logs go to `folder`/runs.
    is_logged: bool = False
    #: Go on from the last checkpoint in `folder`.
    is_resuming: bool = False
    is_progress_shown: bool = True


def train_adapter(
    recipe: Recipe, model: Any, tokenizer: Any, splits: Splits, outputs: Outputs, speed: Speed = DEFAULT_SPEED
) -> tuple[Any, TrainingRun]:
    """Train a LoRA adapter; returns the peft model with its weights, and how the run went."""
    trees = _encode(tokenizer, choose_references(splits.train, recipe.references), recipe)
    watched = _encode(tokenizer, splits.validation, recipe)
    checkpoint = find_checkpoint(outputs.folder) if outputs.is_resuming else None
    with warnings.catch_warnings():
        # transformers deprecates names that trl and peft still use: nothing that a user could mend.
        warnings.simplefilter("ignore", FutureWarning)
        trainer = _make_trainer(recipe, model, tokenizer, outputs, (trees, watched))
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


def make_lora(recipe: Recipe) -> LoraConfig:
    """The recipe's LoRA as peft knows it."""
    return LoraConfig(
        r=recipe.lora_r,
        lora_alpha=recipe.lora_alpha,
        lora_dropout=recipe.lora_dropout,
        use_rslora=recipe.is_rank_stabilized,
        target_modules=list(recipe.target_modules),
        bias="none",
        task_type="CAUSAL_LM",
    )


def _make_trainer(
    recipe: Recipe, model: Any, tokenizer: Any, outputs: Outputs, splits: tuple[list[Tree], list[Tree]]
) -> TreeTrainer:
    train, validation = splits
    trainer = TreeTrainer(
        model=model,
        args=_make_arguments(recipe, outputs, len(train), is_watched=bool(validation)),
        train_dataset=make_dataset(train),
        eval_dataset=make_dataset(validation) if validation else None,
        processing_class=tokenizer,
        data_collator=make_collator(tokenizer.pad_token_id),
        peft_config=make_lora(recipe),
        callbacks=[Stopwatch(), *([EarlyStoppingCallback(recipe.patience)] if recipe.patience else [])],
    )
    if not outputs.is_progress_shown:
        trainer.remove_callback(PrinterCallback)
    if trainer.args.fp16:
        widen(trainer.model)
    return trainer


def widen(model: Any) -> None:
    """The adapter in float32: trl makes it bfloat16 on quantized weights, whose gradients float16's scaler refuses."""
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
        # Several processes without a GPU find each other only if told so.
        use_cpu=not is_cuda,
        bf16=is_bf16,
        fp16=is_cuda and not is_bf16,
        dataloader_pin_memory=is_cuda,
        seed=recipe.seed,
        data_seed=recipe.seed + recipe.data_order,
        logging_steps=1,
        # Asking each loss whether it is a number would stop the host at every step.
        logging_nan_inf_filter=False,
        ddp_find_unused_parameters=False,
        eval_strategy="epoch" if is_watched else "no",
        save_strategy="epoch",
        save_total_limit=2,
        load_best_model_at_end=recipe.patience > 0,
        # Else a resumed run would have all its patience again, and have taken no time before.
        restore_callback_states_from_checkpoint=True,
        report_to=["tensorboard"] if outputs.is_logged else [],
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
        remove_unused_columns=False,
        disable_tqdm=not outputs.is_progress_shown,
        **checkpointing(recipe.is_gradient_checkpointing),
    )
    arguments.warmup_steps = round(recipe.warmup_share * _count_steps(recipe, num_trees, arguments.world_size))
    # transformers would spread a batch over all visible GPUs in threads, and a row of trees cannot be split.
    arguments._n_gpu = 1
    return arguments


def _count_steps(recipe: Recipe, num_trees: int, num_processes: int) -> int:
    num_batches = math.ceil(num_trees / (recipe.batch_size * num_processes))
    num_epoch_steps = math.ceil(num_batches / recipe.num_accumulated_batches)
    return recipe.max_steps or math.ceil(num_epoch_steps * recipe.num_epochs)


def checkpointing(is_on: bool) -> dict[str, bool]:
    """The option of SFTConfig: transformers renamed the switch, and trl turns it on by default under either name."""
    has_new_name = "activation_checkpointing" in SFTConfig.__dataclass_fields__
    return {"activation_checkpointing" if has_new_name else "gradient_checkpointing": is_on}


def _find_stopwatch(trainer: TreeTrainer) -> Stopwatch:
    """The one that runs: a resumed trainer makes its own from the checkpoint."""
    return next(callback for callback in trainer.callback_handler.callbacks if isinstance(callback, Stopwatch))


def _device_name() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"


def _read_curve(history: Sequence[dict[str, float]]) -> tuple[LossPoint, ...]:
    return tuple(
        LossPoint(int(entry["step"]), entry["epoch"], entry.get("loss"), entry.get("eval_loss"))
        for entry in history
        if "loss" in entry or "eval_loss" in entry
    )
