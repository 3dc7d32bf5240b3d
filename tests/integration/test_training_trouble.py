"""Training that fails ends with a message and publishes no adapter that could not be served."""

import resource
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from aftercall.errors import AdapterError
from tests.fixtures.model import build_tiny_model
from tests.unit.training.learner import RECIPE, make_plan, save_base, write_labelled
from training.fit.plan import make_plan as make_training_plan
from training.fit.recipe import get_recipe
from training.fit.train import DEFAULT_SPEED, _encode, _make_trainer, widen
from training.refresh import Plan, refresh
from worker.loading.load import ModelSettings, load_model


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the base model lies, and where runs and adapters will."""
    save_base(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file grows beyond 200,000 bytes: weights fit, the optimizer's state does not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_checkpoint_that_does_not_fit_on_the_disk(workshop: Path, request: pytest.FixtureRequest) -> None:
    plan = make_plan(write_labelled(workshop / "labelled.csv"), workshop, replace(RECIPE, max_steps=1))
    request.getfixturevalue("small_files")
    with pytest.raises(AdapterError, match=r"run cannot be saved in .*: a file was truncated\. Free some space"):
        refresh(plan)
    assert list(plan.outputs.folder.glob("checkpoint-*/optimizer.pt"))
    assert not plan.adapters_dir.exists()


def make_notebook_plan(folder: Path, learning_rate: float) -> Plan:
    tiny = build_tiny_model("phi")
    tiny.model.save_pretrained(folder / "tiny-phi")
    tiny.tokenizer.save_pretrained(folder / "tiny-phi")
    notebook = replace(
        get_recipe("phi-1_5-tweetsumm"),
        base=str(folder / "tiny-phi"),
        max_steps=3,
        max_prompt_tokens=230,
        learning_rate=learning_rate,
    )
    return make_plan(write_labelled(folder / "labelled.csv"), folder, notebook)


def test_an_adapter_whose_training_diverged_is_not_published(tmp_path: Path) -> None:
    plan = make_notebook_plan(tmp_path, learning_rate=1e30)
    # Beside 8-bit weights; what is merged into others is refused when it is merged.
    plan = replace(plan, settings=plan.settings.model_copy(update={"quantization": "int8"}))
    with pytest.raises(AdapterError, match=r"holds numbers that are not finite, .*Train the adapter again"):
        refresh(plan)
    assert not plan.adapters_dir.exists()


# trl asks newer transformers for an attribute by its former name.
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_an_adapter_on_4_bit_weights_is_cast_to_float32_for_float16_training(tmp_path: Path) -> None:
    """A GPU without bfloat16 scales gradients, and its scaler takes no bfloat16, which trl makes of the adapter."""
    plan = make_notebook_plan(tmp_path, learning_rate=2e-4)
    loaded = load_model(ModelSettings(plan.recipe.base, "nf4", "float16", None, "cpu", tmp_path))
    trees = _encode(loaded.tokenizer, plan.splits.train, plan.recipe)
    planned = make_training_plan(plan.recipe, loaded.model, loaded.tokenizer, trees, DEFAULT_SPEED)
    model = _make_trainer(planned, loaded.tokenizer, plan.outputs, (trees, [])).model
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    kept = {name: weight.dtype for name, weight in model.named_parameters() if not weight.requires_grad}
    assert {weight.dtype for weight in trained} == {torch.bfloat16}
    widen(model)
    assert {weight.dtype for weight in trained} == {torch.float32}
    assert {name: weight.dtype for name, weight in model.named_parameters() if not weight.requires_grad} == kept
