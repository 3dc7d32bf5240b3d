"""Training in two processes is training in one with twice the batches a step, and one of them writes."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file

from aftercall.errors import AdapterError, SettingsError
from aftercall.settings import Settings
from tests.fixtures.model import build_tiny_model
from tests.unit.training.examples import make_example
from training.data.splits import Splits
from training.fit.arguments import Outputs
from training.fit.recipe import Recipe
from training.fit.speed import Speed
from training.fit.training_run import TrainingRun
from training.refresh import Plan, train_and_save

RECIPE = Recipe(
    name="tiny",
    base="tiny-learner",
    quantization="none",
    compute_dtype="float32",
    lora_dropout=0.0,
    batch_size=2,
    learning_rate=1e-2,
    max_steps=4,
    max_prompt_tokens=230,
)
EXAMPLES = [
    make_example(str(number), "Refund sent." * (1 + number % 3), user=f"order {number} is late") for number in range(16)
]


class Noted(type(Path())):  # type: ignore[misc]  # the platform's own kind of path
    """A folder that notes beside itself which process made it."""

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        super().mkdir(mode, parents, exist_ok)
        (self.parent / f"made-by-{os.environ.get('RANK', 'nobody')}").touch()


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    tiny = build_tiny_model("llama")
    tiny.model.save_pretrained(tmp_path / RECIPE.base)
    tiny.tokenizer.save_pretrained(tmp_path / RECIPE.base)
    monkeypatch.chdir(tmp_path)
    # Two processes of one thread each: more would wait for one another on a small machine.
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    yield


def make_plan(tmp_path: Path, recipe: Recipe, num_processes: int) -> Plan:
    folder = tmp_path / str(num_processes)
    return Plan(
        recipe=recipe,
        sources=["here"],
        splits=Splits(EXAMPLES, EXAMPLES[:4]),
        outputs=Outputs(folder=folder / "run", is_progress_shown=False),
        adapters_dir=folder / "adapters",
        settings=Settings(data_dir=folder, max_new_tokens=16),
        speed=Speed(num_processes=num_processes),
    )


def losses(training: TrainingRun) -> list[float]:
    return [point.train_loss for point in training.curve if point.train_loss is not None]


@pytest.mark.usefixtures("base")
@pytest.mark.timeout(300)
def test_two_processes_learn_what_one_does_with_twice_the_batches(tmp_path: Path) -> None:
    alone = make_plan(tmp_path, replace(RECIPE, num_accumulated_batches=2), 1)
    training_alone, _ = train_and_save(alone, alone.outputs.folder / "adapter")
    together = make_plan(tmp_path, RECIPE, 2)
    training, provenance = train_and_save(together, Noted(together.outputs.folder / "adapter"))

    assert [path.name for path in together.outputs.folder.glob("made-by-*")] == ["made-by-0"]
    assert (training.num_processes, training_alone.num_processes) == (2, 1)
    assert "2 processes" in training.ran_on
    assert provenance.base_model == RECIPE.base
    assert losses(training) == pytest.approx(losses(training_alone), rel=1e-4)
    assert losses(training)[-1] < losses(training)[0]
    weights, alone_weights = (
        load_file(plan.outputs.folder / "adapter" / "adapter_model.safetensors") for plan in (together, alone)
    )
    for name, tensor in alone_weights.items():
        assert (weights[name].float() - tensor.float()).abs().max() < 1e-3, name
    checkpoint = json.loads(next(together.outputs.folder.glob("checkpoint-*/trainer_state.json")).read_text())
    assert checkpoint["global_step"] == RECIPE.max_steps


@pytest.mark.usefixtures("base")
@pytest.mark.timeout(300)
def test_what_goes_wrong_in_a_process_is_said_here(tmp_path: Path) -> None:
    broken = make_plan(tmp_path, replace(RECIPE, base="no-such-model"), 2)
    with pytest.raises(AdapterError, match=r"training in 2 processes failed: .*There is no base model at no-such"):
        train_and_save(broken, broken.outputs.folder / "adapter")
    assert not broken.adapters_dir.exists()


def test_a_launcher_from_outside_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(SettingsError, match=r"run `aftercall train --gpus 4` without one"):
        train_and_save(make_plan(tmp_path, RECIPE, 1), tmp_path / "adapter")
