"""A recipe with several averaged runs gives the mean of their weights."""

from dataclasses import replace
from pathlib import Path

import torch

from tests.fixtures.model import build_tiny_model
from tests.unit.training.examples import make_example
from training.data.splits import Splits
from training.fit.arguments import Outputs
from training.fit.averaging import average, read_weights, train_averaged
from training.fit.recipe import Recipe
from training.fit.train import train_adapter

RECIPE = Recipe(
    name="tiny",
    base="tiny",
    quantization="none",
    batch_size=2,
    learning_rate=1e-2,
    max_steps=3,
    max_prompt_tokens=230,
)
EXAMPLES = [make_example(str(number), "Refund sent." * number, user=f"order {number}") for number in range(1, 9)]
SPLITS = Splits(EXAMPLES, EXAMPLES[:2])


def train_alone(order: int, folder: Path) -> dict[str, torch.Tensor]:
    tiny = build_tiny_model("llama")
    outputs = Outputs(folder=folder / f"alone{order}", is_progress_shown=False)
    model, _ = train_adapter(replace(RECIPE, data_order=order), tiny.model, tiny.tokenizer, SPLITS, outputs)
    return read_weights(model)


def test_two_runs_differ_by_their_order_and_are_averaged(tmp_path: Path) -> None:
    first, second = (train_alone(order, tmp_path) for order in (0, 1))
    assert any(not torch.equal(first[name], second[name]) for name in first)
    tiny = build_tiny_model("llama")
    outputs = Outputs(folder=tmp_path / "averaged", is_progress_shown=False)
    recipe = replace(RECIPE, num_averaged_runs=2)
    model, training = train_averaged(recipe, tiny.model, tiny.tokenizer, SPLITS, outputs)
    assert training.num_steps == 2 * RECIPE.max_steps
    weights = read_weights(model)
    for name, tensor in average([first, second]).items():
        torch.testing.assert_close(weights[name], tensor, msg=name)
