"""A resumed run has the same steps, patience and seconds as an uninterrupted one."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.model import build_tiny_model
from tests.unit.training.examples import make_example
from training.data.splits import Splits
from training.fit.arguments import Outputs
from training.fit.checkpoint import find_checkpoint
from training.fit.recipe import Recipe
from training.fit.stopwatch import Stopwatch
from training.fit.train import train_adapter
from training.fit.training_run import TrainingRun

#: Learns nothing, so no epoch is better than the first.
RECIPE = Recipe(
    name="tiny",
    base="tiny",
    quantization="none",
    batch_size=4,
    learning_rate=1e-12,
    num_epochs=6,
    patience=2,
    max_prompt_tokens=230,
)
EXAMPLES = [make_example(str(number), "Refund sent.", user=f"order {number}") for number in range(8)]


def train(folder: Path, *, is_resuming: bool = False) -> TrainingRun:
    tiny = build_tiny_model("llama")
    outputs = Outputs(folder=folder, is_progress_shown=False, is_resuming=is_resuming)
    _, training = train_adapter(RECIPE, tiny.model, tiny.tokenizer, Splits(EXAMPLES, EXAMPLES[:2]), outputs)
    return training


@pytest.fixture
def stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a run that was stopped after two epochs of two steps: one more, and its patience is at an end."""

    def stop(self: Stopwatch, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.epoch == 2:
            raise KeyboardInterrupt

    folder = tmp_path / "stopped"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Stopwatch, "on_save", stop)
        train(folder)
    assert find_checkpoint(folder).name == "checkpoint-4"
    return folder


def test_patience_is_not_reset_by_resuming(stopped: Path, tmp_path: Path) -> None:
    undisturbed = train(tmp_path / "undisturbed")
    assert undisturbed.num_steps == 6
    resumed = train(stopped, is_resuming=True)
    assert [point.step for point in resumed.curve] == [point.step for point in undisturbed.curve]


def test_seconds_before_resuming_are_counted(stopped: Path) -> None:
    path = find_checkpoint(stopped) / "trainer_state.json"
    state = json.loads(path.read_bytes())
    (seconds,) = state["stateful_callbacks"]["Stopwatch"]["args"].values()
    assert seconds > 0
    state["stateful_callbacks"]["Stopwatch"]["args"]["before_s"] = 5000.0
    path.write_text(json.dumps(state))
    assert train(stopped, is_resuming=True).duration_s > 5000
