"""The forecast of a run's memory and time, and how its rows are split to fit."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.fixtures.model import build_tiny_model
from tests.unit.training.examples import make_example
from training.data.trees import Tree, TreeEncoder, collate_trees, model_inputs
from training.fit.forecast import Cost, Limits, apply, measure_cost, plan_run
from training.fit.lora import add_adapter
from training.fit.recipe import Recipe
from training.fit.targets import find_targets

RECIPE = Recipe(name="r", base="b", batch_size=4, num_accumulated_batches=1)
#: 1 MB per token and nothing quadratic; 9 layers.
COST = Cost(linear=1e6, quadratic=0.0, seconds=0.001, num_layers=9, num_trained=0)
TREES = [Tree(tuple(range(100)), ((1, 2),))] * 8


@pytest.mark.parametrize(
    ("free", "row_tokens", "is_checkpointing"),
    [
        (1e9, None, False),
        # A row of 4 x 101 tokens is padded to 448: 560 MB with the backward pass. 0.7 x 600 MB leave room for 320.
        (6e8, 320, False),
        (2.5e8, 128, False),
        (2e8, None, True),
        (6e7, 128, True),
    ],
)
def test_rows_get_shorter_until_they_fit(free: float, row_tokens: int | None, is_checkpointing: bool) -> None:
    forecast = plan_run(RECIPE, COST, TREES, Limits(free_bytes=int(free)), num_steps=10)
    assert forecast.fits
    assert forecast.max_row_tokens == row_tokens
    assert forecast.is_gradient_checkpointing is apply(RECIPE, forecast).is_gradient_checkpointing is is_checkpointing
    assert forecast.duration_s == pytest.approx(10 * 4 * 101 * 0.001 * (1.33 if is_checkpointing else 1))


def test_a_given_limit_and_a_length_that_brings_no_speed_shorten_rows() -> None:
    given = plan_run(RECIPE, COST, TREES, Limits(free_bytes=10**12, max_bytes=420_000_000), num_steps=10)
    assert given.max_row_tokens == 320
    assert "0.4 GiB may be used); rows of up to 320 tokens" in given.describe()
    assert plan_run(RECIPE, COST, TREES, Limits(free_bytes=10**12, max_row_tokens=300), 10).max_row_tokens == 300
    assert plan_run(RECIPE, COST, TREES, Limits(free_bytes=10**12, max_row_tokens=64), 10).max_row_tokens == 101


def test_what_cannot_fit_is_said_before_the_first_step() -> None:
    forecast = plan_run(RECIPE, COST, TREES, Limits(free_bytes=int(1e7)), num_steps=10)
    assert not forecast.fits
    assert "That may not fit: lower max_prompt_tokens" in forecast.describe()


@pytest.fixture
def adapted() -> tuple[Any, list[Tree]]:
    tiny = build_tiny_model("llama")
    examples = [make_example(str(n), "Refund sent.", user="order is late " * n) for n in range(1, 12)]
    trees = [TreeEncoder(tiny.tokenizer).encode(example, 230) for example in examples]
    recipe = replace(RECIPE, lora_dropout=0.0)
    return add_adapter(tiny.model, recipe, find_targets(tiny.model, "all-linear")), trees


def test_measuring_leaves_weights_gradients_and_random_numbers_alone(adapted: tuple[Any, list[Tree]]) -> None:
    model, trees = adapted
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    cost = measure_cost(model, trees, 256, with_prompt=False)
    assert torch.equal(torch.rand(4), expected)
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
    assert all(weight.grad is None for weight in model.parameters())
    assert cost.linear > 0
    assert cost.seconds > 0


def test_the_bytes_of_a_row_are_those_that_autograd_saves(adapted: tuple[Any, list[Tree]]) -> None:
    """Measured on one tree at a time, and then true of a row of four."""
    model, trees = adapted
    cost = measure_cost(model, trees, 256, with_prompt=False)
    row = trees[-4:]
    batch = collate_trees(row, 256)
    weights = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
    saved: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        if tensor.untyped_storage().data_ptr() not in weights:
            saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    model.train()
    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        logits = model(**model_inputs(batch), use_cache=False).logits[0]
        torch.nn.functional.cross_entropy(logits.float(), batch["labels"][0])
    forecast = cost.row_bytes(sum(tree.num_tokens for tree in row), is_checkpointing=False) / 1.25
    assert forecast == pytest.approx(sum(saved.values()), rel=0.25)
