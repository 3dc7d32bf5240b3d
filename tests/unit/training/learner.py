"""A tiny model that can learn, with data and a plan, for the tests of the refresh loop."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from aftercall.settings import Settings
from tests.fixtures.model import build_tiny_model
from training.data.splits import load_splits
from training.fit.arguments import Outputs
from training.fit.recipe import Recipe
from training.refresh import Plan

#: The summary that the tiny model learns to write for every conversation.
SUMMARY = "Refund sent."

MAX_NEW_TOKENS = 16

RECIPE = Recipe(
    name="tiny",
    base="tiny-learner",
    quantization="none",
    compute_dtype="float32",
    batch_size=4,
    learning_rate=2e-2,
    max_steps=40,
    max_prompt_tokens=230,
)


@contextmanager
def working_beside_base(folder: Path) -> Iterator[None]:
    """Save the base model in `folder` and make that the working directory, so that the model is found by name."""
    save_base(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield


def save_base(parent: Path) -> None:
    """Save the tiny Llama there, with an output layer that can produce every byte, so that it can learn a space."""
    tiny = build_tiny_model("llama")
    torch.manual_seed(0)
    torch.nn.init.normal_(tiny.model.get_output_embeddings().weight, std=0.5)
    tiny.model.save_pretrained(parent / RECIPE.base)
    tiny.tokenizer.save_pretrained(parent / RECIPE.base)


def write_labelled(path: Path, num_rows: int = 24, first: int = 0) -> Path:
    """Conversations and their summaries, as a CSV."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "conversation", "summary"])
        for number in range(first, first + num_rows):
            rows.writerow([number, f"user: order {number} late\nagent: sorry, refunded", SUMMARY])
    return path


def write_split(folder: Path) -> Path:
    """A folder of 24 conversations to train on and 32 held out: enough for the gate."""
    folder.mkdir()
    write_labelled(folder / "train.csv")
    write_labelled(folder / "validation.csv", 32, first=24)
    return folder


def make_plan(data: Path, folder: Path, recipe: Recipe) -> Plan:
    """A refresh that keeps its runs and adapters in `folder`."""
    return Plan(
        recipe=recipe,
        sources=[str(data)],
        splits=load_splits([str(data)]),
        outputs=Outputs(folder=folder / "run" / str(recipe.seed), is_progress_shown=False),
        adapters_dir=folder / "adapters",
        settings=Settings(data_dir=folder, max_new_tokens=MAX_NEW_TOKENS),
    )
