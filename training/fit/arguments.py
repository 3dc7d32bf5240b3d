"""The trainers' arguments that every method of training has in common."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from trl import SFTConfig

from training.fit.recipe import Recipe


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


def common_arguments(recipe: Recipe, outputs: Outputs) -> dict[str, Any]:
    """Arguments of transformers' trainers that are the same for summaries and for preferences."""
    is_cuda = torch.cuda.is_available()
    is_bf16 = is_cuda and torch.cuda.is_bf16_supported(including_emulation=False)
    return {
        "output_dir": str(outputs.folder),
        "lr_scheduler_type": recipe.schedule,
        "weight_decay": recipe.weight_decay,
        "max_steps": recipe.max_steps or -1,
        # Without this, several processes on a machine without a GPU do not form a group.
        "use_cpu": not is_cuda,
        "bf16": is_bf16,
        "fp16": is_cuda and not is_bf16,
        "dataloader_pin_memory": is_cuda,
        "seed": recipe.seed,
        "data_seed": recipe.seed + recipe.data_order,
        "logging_steps": 1,
        # Checking each loss for NaN would synchronize host and GPU at every step.
        "logging_nan_inf_filter": False,
        "save_strategy": "epoch",
        "save_total_limit": 2,
        # Otherwise a resumed run would start with full patience and zero elapsed time.
        "restore_callback_states_from_checkpoint": True,
        "report_to": list(recipe.report_to) if outputs.is_logged else [],
        "max_length": None,
        "disable_tqdm": not outputs.is_progress_shown,
        **checkpointing(recipe.is_gradient_checkpointing),
    }


def checkpointing(is_on: bool) -> dict[str, bool]:
    """The SFTConfig option for gradient checkpointing: its name differs by version, and trl's default is on."""
    has_new_name = "activation_checkpointing" in SFTConfig.__dataclass_fields__
    return {"activation_checkpointing" if has_new_name else "gradient_checkpointing": is_on}
