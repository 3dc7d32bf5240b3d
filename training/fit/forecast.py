"""Forecasts a run's memory and minutes before its first step, and plans rows that fit.

Nothing is assumed about the architecture. Forward passes over one and two conversations count the bytes that autograd
saves for the backward pass, which gives a linear part (hidden states, logits) and a quadratic part (attention) in the
number of tokens. A timed forward and backward pass gives the seconds per token.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from training.data.trees import PAD_MULTIPLE, Tree, collate_trees, model_inputs
from training.fit.chunked_loss import CHUNK_LOGITS, find_head, sum_loss
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
#: Longer rows are no faster on a CPU: their attention is quadratic, and two conversations do not attend to each other.
CPU_ROW_TOKENS = 512
#: One chunk's logits, their probabilities and gradients, in float32.
_LOSS_BYTES = 4 * 4 * CHUNK_LOGITS


@dataclass(frozen=True, slots=True)
class Cost:
    """What one row of `tokens` costs: `linear * tokens + quadratic * tokens**2` bytes, `seconds` per token."""

    linear: float
    quadratic: float
    seconds: float
    num_layers: int
    num_trained: int
    #: What the loss takes in addition, whatever the row's length.
    loss_bytes: int = 0

    def row_bytes(self, num_tokens: int, *, is_checkpointing: bool) -> float:
        """Memory of a forward and backward pass over one row, without the weights."""
        length = _pad(num_tokens)
        saved = self.linear * length + self.quadratic * length**2
        # With checkpointing one layer's activations exist at a time, and each layer's input is kept; those are a small
        # share of a layer's activations, taken as one more layer in all.
        return _BACKWARD_FACTOR * (saved * 2 / (self.num_layers + 1) if is_checkpointing else saved)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a run may take."""

    #: Free memory of the device.
    free_bytes: int
    #: A limit given by the user, on top of the loaded model.
    max_bytes: int | None = None
    #: Rows longer than this bring no speed; None: the longer, the faster.
    max_row_tokens: int | None = None

    @property
    def budget(self) -> float:
        """Bytes on top of the loaded model."""
        share = _MEMORY_SHARE * self.free_bytes
        return share if self.max_bytes is None else min(share, self.max_bytes)


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a run will take, and how its batches are split into rows so that it fits."""

    #: A batch is computed in rows of up to so many tokens; None: in one row.
    max_row_tokens: int | None
    is_gradient_checkpointing: bool
    #: Peak memory in addition to the loaded model.
    num_bytes: float
    limits: Limits
    duration_s: float

    @property
    def fits(self) -> bool:
        """Whether the run stays within its limits."""
        return self.num_bytes <= self.limits.budget

    def describe(self) -> str:
        """The forecast in one or two sentences."""
        split = (f"; rows of up to {self.max_row_tokens:,} tokens" if self.max_row_tokens else "") + (
            " and activations recomputed" if self.is_gradient_checkpointing else ""
        )
        text = (
            f"About {max(1, round(self.duration_s / 60))} minutes and {self.num_bytes / GIB:.1f} GiB on top of the "
            f"loaded model ({self.limits.free_bytes / GIB:.1f} GiB are free, {self.limits.budget / GIB:.1f} GiB may be "
            f"used){split}."
        )
        if self.fits:
            return text
        return f"{text} That may not fit: lower max_prompt_tokens, or train on a machine with more memory."


def plan_run(recipe: Recipe, cost: Cost, trees: Sequence[Tree], limits: Limits, num_steps: int) -> Forecast:
    """Split batches into shorter rows, and if that is not enough recompute activations, until the longest row fits.

    A step stays the same batch: the gradients of its rows add up, and the loss is the mean over all of its tokens.
    """
    tokens = sorted((tree.num_tokens for tree in trees), reverse=True)
    whole, longest = sum(tokens[: recipe.batch_size]), tokens[0]
    per_step = sum(tokens) / len(tokens) * recipe.batch_size * recipe.num_accumulated_batches
    start = whole if limits.max_row_tokens is None else max(longest, min(whole, limits.max_row_tokens))
    lengths = [start, *range(_pad(start) - PAD_MULTIPLE, longest, -PAD_MULTIPLE), longest]
    plans = (
        Forecast(
            max_row_tokens=length if length < whole else None,
            is_gradient_checkpointing=is_checkpointing,
            num_bytes=cost.row_bytes(length, is_checkpointing=is_checkpointing)
            + _BYTES_PER_TRAINED * cost.num_trained
            + cost.loss_bytes,
            limits=limits,
            duration_s=num_steps * per_step * cost.seconds * (_CHECKPOINTING_TIME if is_checkpointing else 1),
        )
        for is_checkpointing in dict.fromkeys((recipe.is_gradient_checkpointing, True))
        for length in lengths
    )
    plan = next(plans)
    while not plan.fits and (shorter := next(plans, None)):
        plan = shorter
    return plan


def apply(recipe: Recipe, forecast: Forecast) -> Recipe:
    """The recipe with activations recomputed as planned."""
    return replace(recipe, is_gradient_checkpointing=forecast.is_gradient_checkpointing)


def measure_cost(
    model: Any, trees: Sequence[Tree], padding_id: int, *, with_prompt: bool, head: nn.Module | None = None
) -> Cost:
    """Run a tree of median length alone, and two as one row, through a peft model, which stays as it was."""
    middle = sorted(trees, key=lambda tree: tree.num_tokens)[len(trees) // 2]
    rows = [[middle], [middle, middle]]
    was_training = model.training
    model.train()
    batches = [_to_device(model, collate_trees(row, padding_id, with_prompt=with_prompt)) for row in rows]
    with torch.random.fork_rng():
        # The first pass of a process takes longer, so the second one is timed.
        long_bytes = _run(model, batches[1], head)
        start = time.perf_counter()
        short_bytes = _run(model, batches[0], head)
        seconds = (time.perf_counter() - start) / middle.num_tokens
    model.zero_grad(set_to_none=True)
    model.train(was_training)
    lengths = [batch["input_ids"].shape[1] for batch in batches]
    linear, quadratic = _fit(lengths[0], short_bytes, lengths[1], long_bytes)
    return Cost(
        linear,
        quadratic,
        seconds,
        num_layers=model.config.num_hidden_layers,
        num_trained=model.get_nb_trainable_parameters()[0],
        loss_bytes=_LOSS_BYTES if head is not None else 0,
    )


def check_head(model: Any, trees: Sequence[Tree], padding_id: int) -> nn.Module | None:
    """The output layer if the loss can be computed in chunks, tried on the shortest tree."""
    row = _to_device(model, collate_trees([min(trees, key=lambda tree: tree.num_tokens)], padding_id))
    return find_head(model, model_inputs(row), row["labels"][0])


def _to_device(model: Any, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    device = next(model.parameters()).device
    return {name: tensor.to(device) for name, tensor in batch.items()}


def _run(model: Any, batch: dict[str, Tensor], head: nn.Module | None) -> int:
    """One forward and backward pass; returns the bytes that autograd saved in between, weights left out."""
    weights = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
    saved: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        targets = batch["labels"][0]
        loss = sum_loss(model, model_inputs(batch), targets, head) / len(targets)
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


def find_limits(model: Any, max_bytes: int | None) -> Limits:
    """What a run may take on the model's device."""
    device = next(model.parameters()).device
    return Limits(
        free_bytes=free_bytes(device),
        max_bytes=max_bytes,
        max_row_tokens=CPU_ROW_TOKENS if device.type == "cpu" else None,
    )
