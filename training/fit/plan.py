"""Plans a run before its first step: the layers to train, rows that fit into memory, and how the loss is computed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from training.data.trees import Tree
from training.fit.distributed import num_processes
from training.fit.forecast import Forecast, apply, check_head, find_limits, measure_cost, plan_run
from training.fit.lora import add_adapter
from training.fit.recipe import Recipe
from training.fit.speed import Speed
from training.fit.targets import FoundLayers, find_targets


@dataclass(frozen=True, slots=True)
class Planned:
    """A run that can start."""

    #: Without an adapter.
    model: Any
    #: With activations recomputed if the plan needs it.
    recipe: Recipe
    found: FoundLayers
    forecast: Forecast
    #: A batch is computed in rows of up to so many tokens; None: in one row.
    max_row_tokens: int | None
    #: The output layer, if the loss is computed in chunks.
    head: nn.Module | None

    def describe(self) -> str:
        """What is trained and what it will take, a line each."""
        return f"LoRA of rank {self.recipe.lora_r} on {self.found}\n{self.forecast.describe()}"


def make_plan(recipe: Recipe, model: Any, tokenizer: Any, trees: Sequence[Tree], speed: Speed) -> Planned:
    """Find the layers, and measure what a row costs. The model stays without an adapter."""
    found = find_targets(model, recipe.target_modules)
    # The probe's adapter is removed again, and must not change the random numbers that the real one starts from.
    with torch.random.fork_rng():
        adapted = add_adapter(model, recipe, found)
        head = check_head(adapted, trees, tokenizer.pad_token_id)
        is_full = recipe.loss_on == "full"
        cost = measure_cost(adapted, trees, tokenizer.pad_token_id, with_prompt=is_full, head=head)
        limits = find_limits(adapted, speed.max_bytes)
        model = adapted.unload()
    forecast = plan_run(recipe, cost, trees, limits, count_steps(recipe, len(trees), num_processes=1))
    if num_processes() > 1:
        # Processes see different amounts of free memory, and have to take the same rows.
        return Planned(model, recipe, found, forecast, None, head)
    return Planned(model, apply(recipe, forecast), found, forecast, forecast.max_row_tokens, head)


def count_steps(recipe: Recipe, num_trees: int, num_processes: int) -> int:
    """Steps of a run over so many trees."""
    num_batches = math.ceil(num_trees / (recipe.batch_size * num_processes))
    num_epoch_steps = math.ceil(num_batches / recipe.num_accumulated_batches)
    return recipe.max_steps or math.ceil(num_epoch_steps * recipe.num_epochs)
