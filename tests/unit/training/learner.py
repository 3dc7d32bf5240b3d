"""A tiny model that can learn, and the data and the plan to let it: for the tests of the refresh loop."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from aftercall.settings import Settings
from tests.fixtures.model import build_tiny_model
from training.data.splits import load_splits
from training.fit.recipe import LLAMA_LAYERS, Recipe
from training.fit.train import Outputs
from training.refresh import Plan

#: What the tiny model learns to say of everything.
SUMMARY = "Refund sent."

MAX_NEW_TOKENS = 16

RECIPE = Recipe(
    name="tiny",
    base="tiny-learner",
    quantization="none",
    compute_dtype="float32",
    target_modules=LLAMA_LAYERS,
    batch_size=4,
    learning_rate=2e-2,
    max_steps=40,
    max_prompt_tokens=230,
)


@contextmanager
def standing_beside_base(folder: Path) -> Iterator[None]:
    """The base model saved in `folder`, and that the current one, so that its name is its place."""
    save_base(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield


def save_base(parent: Path) -> None:
    """The base model as a folder there: the tiny Llama, but able to write every byte, so that it can learn a space."""
    tiny = build_tiny_model("llama")
    torch.manual_seed(0)
    torch.nn.init.normal_(tiny.model.get_output_embeddings().weight, std=0.5)
    tiny.model.save_pretrained(parent / RECIPE.base)
    tiny.tokenizer.save_pretrained(parent / RECIPE.base)


def write_labelled(path: Path) -> Path:
    """Two dozen conversations and their summaries, as a CSV."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "conversation", "summary"])
        for number in range(24):
            rows.writerow([number, f"user: order {number} late\nagent: sorry, refunded", SUMMARY])
    return path


def make_plan(data: Path, folder: Path, recipe: Recipe) -> Plan:
    """A refresh whose runs and adapters lie in a folder."""
    return Plan(
        recipe=recipe,
        sources=[str(data)],
        splits=load_splits([str(data)]),
        outputs=Outputs(folder=folder / "run" / str(recipe.seed), is_progress_shown=False),
        adapters_dir=folder / "adapters",
        settings=Settings(data_dir=folder, max_new_tokens=MAX_NEW_TOKENS),
    )
