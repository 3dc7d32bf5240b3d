"""Where a run goes on: its last checkpoint, if that belongs to the model and the recipe at hand.

Knows the files that transformers and peft leave in a run's folder. It knows no trainer.
"""

import json
from pathlib import Path

from aftercall.errors import AdapterError
from training.recipe import Recipe
from worker.adapter import CONFIG_FILE

#: What the trainer writes last: a checkpoint without it was cut short.
_STATE_FILE = "trainer_state.json"


def has_checkpoint(folder: Path) -> bool:
    """Whether a run left anything to go on from."""
    return bool(_find_whole(folder))


def find_checkpoint(folder: Path, recipe: Recipe, model_path: str) -> Path:
    """The last checkpoint in a run's folder.

    Args:
        model_path: where the base model was loaded from.

    Raises AdapterError if there is none, or if it was made from another base model or with other LoRA matrices.
    """
    checkpoints = _find_whole(folder)
    if not checkpoints:
        raise AdapterError(f"{folder} has no checkpoint to go on from; train without --resume")
    config = json.loads((checkpoints[-1] / CONFIG_FILE).read_bytes())
    made = (config["base_model_name_or_path"], config["r"], config["lora_alpha"], sorted(config["target_modules"]))
    asked = (model_path, recipe.lora_r, recipe.lora_alpha, sorted(recipe.target_modules))
    if made != asked:
        raise AdapterError(
            f"{checkpoints[-1]} is of {made[0]} with rank {made[1]}, alpha {made[2]} on {', '.join(made[3])}; this run "
            f"is of {asked[0]} with rank {asked[1]}, alpha {asked[2]} on {', '.join(asked[3])}. Go on with the options "
            "it was begun with, or train without --resume."
        )
    return checkpoints[-1]


def _find_whole(folder: Path) -> list[Path]:
    """The checkpoints in a run's folder, oldest first, without one that a full disk or a kill cut short."""
    checkpoints = [path.parent for path in folder.glob(f"checkpoint-*/{_STATE_FILE}")]
    return sorted(checkpoints, key=lambda path: int(path.name.rpartition("-")[2]))
