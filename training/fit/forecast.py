"""Forecasts a run's memory and minutes before its first step, and plans batches that fit.

Nothing is assumed about the architecture. Forward passes over a short and a long row count the bytes that autograd
saves for the backward pass, which gives a linear part (hidden states, logits) and a quadratic part (attention) in the
number of tokens. A timed forward and backward pass gives the seconds per token.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from training.data.trees import PAD_MULTIPLE, Tree, collate_trees, model_inputs
from training.fit.recipe import Recipe
from worker.engine.memory.kv_cache import free_bytes

GIB = 1024**3
#: A run may fill this share of the free memory: the rest is for the allocator's slack and other processes.
_MEMORY_SHARE = 0.7
#: The backward pass allocates gradients of activations on top of what the forward pass saved.
_BACKWARD_FACTOR = 1.25
#: Weight, gradient and AdamW's two moments, in float32.
_BYTES_PER_TRAINED = 16
#: Recomputing activations adds one forward pass to a forward and a backward pass, which takes about twice as long.
_CHECKPOINTING_TIME = 1.33


@dataclass(frozen=True, slots=True)
class Cost:
    """What one row of `tokens` costs: `linear * tokens + quadratic * tokens**2` bytes, `seconds` per token."""

    linear: float
    quadratic: float
    seconds: float
    num_layers: int
    num_trained: int

    def row_bytes(self, num_tokens: int, *, is_checkpointing: bool) -> float:
        """Memory of a forward and backward pass over one row, without the weights."""
        length = _pad(num_tokens)
        saved = self.linear * length + self.quadratic * length**2
        # With checkpointing one layer's activations exist at a time, and each layer's input is kept; those are a small
        # share of a layer's activations, taken as one more layer in all.
        return _BACKWARD_FACTOR * (saved * 2 / (self.num_layers + 1) if is_checkpointing else saved)


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a run will take, and how its batches are split so that it fits."""

    batch_size: int
    num_accumulated_batches: int
    is_gradient_checkpointing: bool
    #: Peak memory in addition to the loaded model.
    num_bytes: float
    free_bytes: int
    duration_s: float

    @property
    def fits(self) -> bool:
        """Whether the run stays within its share of the free memory."""
        return self.num_bytes <= _MEMORY_SHARE * self.free_bytes

    def describe(self) -> str:
        """The forecast in one or two sentences."""
        split = (
            f"; batches split into rows of {self.batch_size} to fit" if self.num_accumulated_batches > 1 else ""
        ) + (" and activations recomputed" if self.is_gradient_checkpointing else "")
        text = (
            f"About {max(1, round(self.duration_s / 60))} minutes and {self.num_bytes / GIB:.1f} GiB on top of the "
            f"loaded model ({self.free_bytes / GIB:.1f} GiB are free){split}."
        )
        if self.fits:
            return text
        return f"{text} That may not fit: lower max_prompt_tokens, or train on a machine with more memory."


def plan_run(recipe: Recipe, cost: Cost, trees: Sequence[Tree], num_free: int, num_steps: int) -> Forecast:
    """Split batches, and if that is not enough recompute activations, until the longest row fits.

    A step stays the same batch: its parts are accumulated, and the loss is the mean over all of its tokens.
    """
    tokens = sorted((tree.num_tokens for tree in trees), reverse=True)
    per_step = sum(tokens) / len(tokens) * recipe.batch_size * recipe.num_accumulated_batches
    plans = [
        _forecast(recipe, cost, tokens, size, is_checkpointing, num_free, num_steps * per_step)
        for is_checkpointing in dict.fromkeys((recipe.is_gradient_checkpointing, True))
        for size in range(recipe.batch_size, 0, -1)
        if recipe.batch_size % size == 0
    ]
    return next((plan for plan in plans if plan.fits), plans[-1])


def apply(recipe: Recipe, forecast: Forecast) -> Recipe:
    """The recipe with its batches split as planned."""
    return replace(
        recipe,
        batch_size=forecast.batch_size,
        num_accumulated_batches=forecast.num_accumulated_batches,
        is_gradient_checkpointing=forecast.is_gradient_checkpointing,
    )


def measure_cost(model: Any, trees: Sequence[Tree], padding_id: int, *, with_prompt: bool) -> Cost:
    """Run the median tree, and the two longest as one row, through a peft model, which stays as it was."""
    ordered = sorted(trees, key=lambda tree: tree.num_tokens)
    short, long = [ordered[len(ordered) // 2]], ordered[-2:]
    was_training = model.training
    model.train()
    with torch.random.fork_rng():
        # The first pass of a process takes longer, so the second one is timed.
        _run(model, short, padding_id, with_prompt=with_prompt)
        start = time.perf_counter()
        short_bytes = _run(model, short, padding_id, with_prompt=with_prompt)
        seconds = (time.perf_counter() - start) / short[0].num_tokens
        long_bytes = _run(model, long, padding_id, with_prompt=with_prompt)
    model.zero_grad(set_to_none=True)
    model.train(was_training)
    lengths = [_pad(sum(tree.num_tokens for tree in row)) for row in (short, long)]
    linear, quadratic = _fit(lengths[0], short_bytes, lengths[1], long_bytes)
    return Cost(linear, quadratic, seconds, model.config.num_hidden_layers, model.get_nb_trainable_parameters()[0])


def _forecast(
    recipe: Recipe,
    cost: Cost,
    tokens: Sequence[int],
    size: int,
    is_checkpointing: bool,
    num_free: int,
    num_tokens: float,
) -> Forecast:
    row = cost.row_bytes(sum(tokens[:size]), is_checkpointing=is_checkpointing)
    return Forecast(
        batch_size=size,
        num_accumulated_batches=recipe.num_accumulated_batches * (recipe.batch_size // size),
        is_gradient_checkpointing=is_checkpointing,
        num_bytes=row + _BYTES_PER_TRAINED * cost.num_trained,
        free_bytes=num_free,
        duration_s=num_tokens * cost.seconds * (_CHECKPOINTING_TIME if is_checkpointing else 1),
    )


def _run(model: Any, row: Sequence[Tree], padding_id: int, *, with_prompt: bool) -> int:
    """One forward and backward pass; returns the bytes that autograd saved in between, weights left out."""
    device = next(model.parameters()).device
    batch = {name: each.to(device) for name, each in collate_trees(row, padding_id, with_prompt=with_prompt).items()}
    weights = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
    saved: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        logits = model(**model_inputs(batch), use_cache=False).logits[0]
        loss = cross_entropy(logits.float(), batch["labels"][0])
    torch.autograd.backward(loss)
    return sum(saved.values())


def _pad(num_tokens: int) -> int:
    """The length of a row of so many tokens."""
    return -(-num_tokens // PAD_MULTIPLE) * PAD_MULTIPLE


def _fit(short: int, short_bytes: int, long: int, long_bytes: int) -> tuple[float, float]:
    """The linear and the quadratic part of a cost known at two lengths."""
    quadratic = (long_bytes / long - short_bytes / short) / (long - short) if long > short else 0.0
    quadratic = max(0.0, quadratic)
    return max(0.0, long_bytes / long - quadratic * long), quadratic


def free_memory(model: Any) -> int:
    """Free memory of the model's device, in bytes."""
    return free_bytes(next(model.parameters()).device)
