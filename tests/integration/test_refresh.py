"""The whole refresh loop on a tiny model: data, training, evaluation, gate, promotion, and a worker that serves it."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine

from aftercall import schema
from aftercall.database import connect, reading
from aftercall.errors import AdapterError, SourceError
from aftercall.prompt import PROMPT_VERSION
from aftercall.settings import Settings
from tests.fixtures.model import build_tiny_model
from tests.fixtures.workers import wait_until
from tests.unit.training.learner import MAX_NEW_TOKENS, RECIPE, SUMMARY, make_plan, working_beside_base, write_split
from training.data.splits import check_unseen, load_splits
from training.fit.recipe import get_recipe
from training.judge.judgement import EVALUATION_FILE, load_judgement
from training.judge.store import Judgements
from training.refresh import refresh
from training.registry import history, registry
from training.registry.promotion import promote
from worker.adapters.manifest import check_adapter, read_manifest
from worker.engine.base import Completion
from worker.serving.desired import DesiredAdapter
from worker.serving.follower import AdapterFollower
from worker.serving.prompts import tokenize
from worker.serving.served import Serving
from worker.serving.start import choose_adapter, load_served

#: The base model alone.
NONE = DesiredAdapter(None, "")


@pytest.fixture(scope="module", autouse=True)
def base_here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The base model as a folder here."""
    folder = tmp_path_factory.mktemp("models")
    with working_beside_base(folder):
        yield


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of runs and adapters."""
    return tmp_path_factory.mktemp("workshop")


@pytest.fixture(scope="module")
def data(workshop: Path) -> Path:
    """Conversations to train on and enough held-out ones for the gate."""
    return write_split(workshop / "labelled")


@pytest.fixture(scope="module")
def good(data: Path, workshop: Path) -> Path:
    """An adapter that has learned to write `SUMMARY`."""
    return refresh(make_plan(data, workshop, RECIPE))


@pytest.fixture(scope="module")
def bad(data: Path, workshop: Path) -> Path:
    """An adapter trained for one step only."""
    return refresh(make_plan(data, workshop, replace(RECIPE, max_steps=1, seed=7)))


def test_the_card_compares_the_new_adapter_with_the_served_one(data: Path, good: Path, tmp_path: Path) -> None:
    plan = replace(make_plan(data, tmp_path, replace(RECIPE, max_steps=1, seed=8)), served=good)
    scores = json.loads((refresh(plan) / "card.json").read_text())["scores"]
    assert list(scores)[:3] == ["this adapter", "base model alone", f"active before: {good.name}"]
    assert scores[f"active before: {good.name}"] == load_judgement(good / EVALUATION_FILE).means()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Engine]:
    """An empty registry; tests/integration/test_registry.py has it on both databases."""
    engine = connect(f"sqlite:///{tmp_path / 'aftercall.db'}")
    schema.upgrade(engine)
    yield engine
    engine.dispose()


def test_a_refresh_publishes_an_adapter_with_its_judgement_and_card(good: Path, data: Path) -> None:
    manifest = check_adapter(good, RECIPE.base, PROMPT_VERSION)
    assert good.name == manifest.digest
    splits = load_splits([str(data)])
    check_unseen(good, splits.validation)
    with pytest.raises(SourceError, match=f"{len(splits.train)} of {len(splits.train)} conversations were trained on"):
        check_unseen(good, splits.train)
    assert manifest.metrics["rouge1_average"] == pytest.approx(100)
    assert manifest.metrics["num_conversations"] == 32
    assert load_judgement(good / EVALUATION_FILE).means()["rouge1_average"] == pytest.approx(100)
    curve = json.loads((good / "card.json").read_text())["training"]["curve"]
    losses = [point["train_loss"] for point in curve if point["train_loss"] is not None]
    assert losses[-1] < 0.1 < losses[0]
    card = (good / "README.md").read_text()
    assert manifest.digest in card
    assert "base model held as quantization none, float32" in card
    writers = re.findall(r"^\| ([\w ]+) \| +[\d.]+ \|", card, re.MULTILINE)
    assert writers == ["this adapter", "base model alone", "first turns", "constant sentence"]
    assert "on the n=32 held-out conversations" in card
    assert re.search(r"^- constant sentence: \+\d+\.\d\d \(\+", card, re.MULTILINE)
    assert (good / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_a_running_worker_serves_what_is_promoted(good: Path, database: Engine, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, base_model=RECIPE.base, max_new_tokens=MAX_NEW_TOKENS)
    candidate = registry.register(database, good)
    assert choose_adapter(settings, database) is None
    serving = Serving(load_served(settings, database, "cpu"))
    served: list[tuple[str, str]] = []
    with AdapterFollower(serving, database, lambda base, digest: served.append((base, digest)), pytest.fail, 0.02):
        promote(database, candidate.digest, NONE, Judgements(tmp_path), is_forced=False)
        wait_until(lambda: served, "the promoted adapter served")
    assert served == [(RECIPE.base, good.name)]
    assert choose_adapter(settings, database) == good

    with serving.using() as now:
        prompt = tokenize("user: order 99 late\nagent: sorry, refunded\n", now.tokenizer, RECIPE.max_prompt_tokens)
        (completion,) = now.engine.generate([prompt.token_ids])
        assert now.columns["adapter_digest"] == good.name
    serving.close()
    assert isinstance(completion, Completion)
    assert completion.text == SUMMARY


def test_a_worse_adapter_is_refused_unless_forced(good: Path, bad: Path, database: Engine, tmp_path: Path) -> None:
    promote(database, registry.register(database, good).digest, NONE, Judgements(tmp_path), is_forced=False)
    candidate = registry.register(database, bad)
    with pytest.raises(
        AdapterError, match=r"stays a candidate: .*its ROUGE is lower than that of adapter \w+: difference -\d+"
    ):
        promote(database, candidate.digest, DesiredAdapter(good, good.name), Judgements(tmp_path), is_forced=False)
    assert registry.active(database, RECIPE.base) == registry.find(database, good.name)

    promote(database, candidate.digest, DesiredAdapter(good, good.name), Judgements(tmp_path), is_forced=True)
    with reading(database) as connection:
        changes = [entry.change for entry in history.read(connection)]
    assert [(change.adapter_digest, change.is_forced) for change in changes] == [(good.name, False), (bad.name, True)]
    left, back = registry.rollback(database, RECIPE.base)
    assert (left.digest, back and back.digest) == (bad.name, good.name)


def test_the_notebooks_recipe_trains_on_4_bit_weights(data: Path, tmp_path: Path) -> None:
    tiny = build_tiny_model("phi")
    tiny.model.save_pretrained(tmp_path / "tiny-phi")
    tiny.tokenizer.save_pretrained(tmp_path / "tiny-phi")
    notebook = replace(
        get_recipe("phi-1_5-tweetsumm"), base=str(tmp_path / "tiny-phi"), max_steps=2, max_prompt_tokens=230
    )
    published = refresh(make_plan(data, tmp_path, notebook))
    manifest = read_manifest(published)
    assert (manifest.base_model, manifest.quantization) == ("tiny-phi", "nf4")
    config = json.loads((published / "adapter_config.json").read_text())
    assert config["target_modules"] == ["dense", "k_proj", "q_proj", "v_proj"]
    assert (config["r"], config["lora_alpha"], config["lora_dropout"], config["bias"]) == (16, 16, 0.05, "none")
    assert config["base_model_name_or_path"] == "tiny-phi"
    # Two layers of four matrices of 64 by 64, each with its A and B of rank 16.
    assert json.loads((published / "card.json").read_text())["training"]["num_trainable_parameters"] == 2 * 4 * 2048


def test_training_resumes_from_its_checkpoint(data: Path, tmp_path: Path) -> None:
    """Stopped after one epoch and resumed, a run ends where an undisturbed one does."""
    plan = make_plan(data, tmp_path, replace(RECIPE, max_steps=0, num_epochs=2, lora_dropout=0.0))
    undisturbed = refresh(plan)

    folder = plan.outputs.folder
    checkpoints = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    assert len(checkpoints) == 2
    for path in (folder / "adapter", checkpoints[1]):
        path.rename(tmp_path / f"old-{path.name}")
    resuming = replace(plan, outputs=replace(plan.outputs, is_resuming=True), adapters_dir=tmp_path / "elsewhere")
    resumed = refresh(resuming)
    assert read_manifest(resumed).digest == read_manifest(undisturbed).digest
    assert load_judgement(resumed / EVALUATION_FILE).means() == load_judgement(undisturbed / EVALUATION_FILE).means()

    with pytest.raises(AdapterError, match=r"was started with lora_r 16, not 8\. Resume it with the same options"):
        refresh(replace(resuming, recipe=replace(plan.recipe, lora_r=8)))
    nowhere = replace(resuming.outputs, folder=tmp_path / "nowhere")
    with pytest.raises(AdapterError, match="has no checkpoint to resume from"):
        refresh(replace(resuming, outputs=nowhere))


def test_a_run_that_cannot_be_saved_says_so_and_publishes_nothing(data: Path, tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file where the run's folder should be")
    with pytest.raises(AdapterError, match=r"run/42/run\.json cannot be written: .*Make room or fix the rights"):
        refresh(make_plan(data, tmp_path, replace(RECIPE, max_steps=1)))
    assert not (tmp_path / "adapters").exists()
