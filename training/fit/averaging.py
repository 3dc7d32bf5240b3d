"""Averages the weights of several runs of one recipe that start at the same weights with the data in another order.

The average varies less from seed to seed than a single run does, and an averaged adapter is no larger.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from peft import get_peft_model_state_dict, set_peft_model_state_dict
from torch import Tensor

from training.data.splits import Splits
from training.fit.arguments import Outputs
from training.fit.checkpoint import has_checkpoint
from training.fit.recipe import Recipe
from training.fit.speed import Speed
from training.fit.train import DEFAULT_SPEED, train_adapter
from training.fit.training_run import TrainingRun


def train_averaged(
    recipe: Recipe, model: Any, tokenizer: Any, splits: Splits, outputs: Outputs, speed: Speed = DEFAULT_SPEED
) -> tuple[Any, TrainingRun]:
    """Run the recipe's number of trainings; returns the peft model with their mean weights, and how the runs went.

    The loss curve is the first run's; steps and seconds are summed over all runs.
    """
    if recipe.num_averaged_runs > 1:
        # Dequantizing changes the base model in place, and the next run needs it as it was loaded.
        speed = replace(speed, is_dequantizing=False)
    trained, training = train_adapter(recipe, model, tokenizer, splits, outputs, speed)
    weights = [read_weights(trained)]
    trainings = [training]
    for order in range(1, recipe.num_averaged_runs):
        folder = outputs.folder / f"order{order}"
        again = replace(outputs, folder=folder, is_resuming=outputs.is_resuming and has_checkpoint(folder))
        reordered = replace(recipe, data_order=order)
        trained, training = train_adapter(reordered, trained.unload(), tokenizer, splits, again, speed)
        weights.append(read_weights(trained))
        trainings.append(training)
    set_peft_model_state_dict(trained, average(weights))
    return trained, replace(
        trainings[0],
        num_steps=sum(each.num_steps for each in trainings),
        duration_s=sum(each.duration_s for each in trainings),
    )


def read_weights(model: Any) -> dict[str, Tensor]:
    """A copy of a peft model's adapter on the CPU."""
    weights = get_peft_model_state_dict(model, save_embedding_layers=False)
    return {name: tensor.detach().cpu().clone() for name, tensor in weights.items()}


def average(weights: list[dict[str, Tensor]]) -> Mapping[str, Tensor]:
    """The mean of several adapters' weights, name by name; all have the same names and shapes."""
    return {name: torch.stack([each[name].float() for each in weights]).mean(0) for name in weights[0]}
