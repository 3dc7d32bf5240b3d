"""`train` and `evaluate` on a tiny model: what they show and store, and what the settings change."""

import gc
import re
import shutil
import sqlite3
import weakref
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from aftercall import database
from aftercall.errors import AdapterError, DatabaseError
from tests.fixtures.json_schemas import read_valid
from tests.unit.training.learner import RECIPE, make_plan, working_beside_base, write_labelled
from training import adapters_cli, cli
from training.context import open_context
from training.judge import served as served_judge
from training.judge.judgement import BASE_EVALUATION_FILE, EVALUATION_FILE, load_judgement
from training.refresh import refresh
from training.registry import registry
from training.registry.promotion import promote
from worker.loading.load import LoadedModel, ModelSettings, load_model
from worker.serving.desired import DesiredAdapter


@pytest.fixture(scope="module", autouse=True)
def base_here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The base model as a folder here."""
    folder = tmp_path_factory.mktemp("models")
    with working_beside_base(folder):
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labelled conversations."""
    return write_labelled(tmp_path_factory.mktemp("data") / "labelled.csv")


@pytest.fixture(scope="module")
def pair(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two adapters, judged."""
    folder = tmp_path_factory.mktemp("workshop")
    first, second = (refresh(make_plan(data, folder, replace(RECIPE, max_steps=1, seed=seed))) for seed in (1, 2))
    return first, second


@pytest.fixture
def adapter(pair: tuple[Path, Path]) -> Path:
    """One of them."""
    return pair[0]


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """A shell whose settings name the tiny model and bfloat16, and an installation of its own."""
    settings = {"DATA_DIR": str(tmp_path), "BASE_MODEL": RECIPE.base, "MAX_NEW_TOKENS": "16"}
    for name, value in (settings | {"COMPUTE_DTYPE": "bfloat16"}).items():
        monkeypatch.setenv(f"AFTERCALL_{name}", value)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(cli, "RUNS_DIR", tmp_path / "runs")
    return CliRunner()


def type_train(typed: CliRunner, data: Path) -> Result:
    options = ["--base", RECIPE.base, "--max-steps", "2", "--data", str(data)]
    return typed.invoke(cli.train, options, catch_exceptions=False)


def type_evaluate(typed: CliRunner, adapter: str, data: Path, *options: str) -> Result:
    return typed.invoke(cli.evaluate, [adapter, *options, "--data", str(data)])


def write_others(parent: Path, split: str) -> Path:
    """A folder with one split of conversations that nobody was trained on."""
    folder = parent / "others"
    folder.mkdir()
    path = write_labelled(folder / f"{split}.csv")
    path.write_text(path.read_text().replace("order", "parcel"))
    return folder


def test_train_and_evaluate_on_the_command_line(data: Path, tmp_path: Path, typed: CliRunner) -> None:
    trained = type_train(typed, data)
    assert "21 conversations with 21 summaries to train on, 3 held out" in trained.output
    digest = re.search(r"candidate: (\w{16}) in", trained.output)
    assert digest
    assert list((tmp_path / "runs").glob("*/runs/*/events.out.tfevents.*"))
    folder = tmp_path / "adapters" / digest[1]
    assert "base model held as quantization none, bfloat16" in (folder / "README.md").read_text()
    written = load_judgement(folder / EVALUATION_FILE)
    assert written.written_as == "quantization auto, bfloat16; greedy, at most 16 tokens"

    judged = type_evaluate(typed, digest[1], data, "--with-base")
    for word in (
        "eval_loss: ",
        "eval_samples_per_second: ",
        f"adapter {digest[1]} on {RECIPE.base}: quantization none, bfloat16",
        "this adapter",
        "base model alone",
        "first turns",
        "constant sentence",
        "  to base model alone: ",
    ):
        assert word in judged.output
    kept = tmp_path / "judgements" / digest[1]
    assert load_judgement(kept / EVALUATION_FILE) == written
    assert load_judgement(kept / BASE_EVALUATION_FILE) == load_judgement(folder / BASE_EVALUATION_FILE)


def test_an_evaluation_is_told_in_json_with_an_interval_on_every_figure(
    adapter: Path, data: Path, typed: CliRunner, tmp_path: Path
) -> None:
    judged = type_evaluate(typed, str(adapter), data, "--with-base", "--json")
    assert judged.exit_code == 0
    told = read_valid("evaluate", judged.stdout)
    assert (told["adapter"], told["split"], told["is_enough_for_gate"]) == (adapter.name, "validation", False)
    ours, base, *baselines = told["judged"]
    assert (ours["name"], base["name"]) == ("this adapter", "base model alone")
    assert [each["name"] for each in baselines] == ["first turns", "constant sentence"]
    kept = load_judgement(tmp_path / "judgements" / adapter.name / EVALUATION_FILE)
    for metric, mean in kept.means().items():
        figure = ours["figures"][metric]
        assert (figure["mean"], figure["n"]) == (pytest.approx(mean, abs=1e-4), 3)
        assert figure["low"] <= figure["mean"] <= figure["high"]
    for figure in (told["loss"]["loss"], told["loss"]["perplexity"], base["difference"], baselines[0]["difference"]):
        assert figure["low"] <= figure["mean"] <= figure["high"]
        assert figure["n"] == 3
    assert told["loss"]["loss"]["low"] < told["loss"]["loss"]["high"]
    assert ours["difference"] is None
    # The table says the same.
    shown = type_evaluate(typed, str(adapter), data)
    assert f"eval_loss: {told['loss']['loss']['mean']:.4f}" in shown.output


def test_sampling_settings_are_part_of_a_judgement(
    adapter: Path, data: Path, typed: CliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFTERCALL_DO_SAMPLE", "true")
    monkeypatch.setenv("AFTERCALL_TEMPERATURE", "0.7")
    folder = shutil.copytree(adapter, tmp_path / adapter.name)
    assert type_evaluate(typed, str(folder), data).exit_code == 0
    with open_context() as context:
        kept = context.judgements.find(folder)
    assert kept.written_as == (
        "quantization auto, bfloat16; drawn with top_k 50, top_p 0.95, temperature 0.7, seed 0, at most 16 tokens"
    )


def test_the_first_model_is_freed_before_the_second_is_loaded(
    adapter: Path, data: Path, typed: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both at once would not fit where each fits alone."""
    models: list[weakref.ref[object]] = []

    def load(settings: ModelSettings) -> LoadedModel:
        assert [model for model in models if model()] == []
        loaded = load_model(settings)
        # As hooks and caches do: such a model goes only when the collector comes.
        loaded.model.config.ring = [loaded.model]
        models.append(weakref.ref(loaded.model))
        return loaded

    monkeypatch.setattr(served_judge, "load_model", load)
    # Nobody else's collection may come in between by chance.
    gc.disable()
    try:
        judged = type_evaluate(typed, str(adapter), data, "--with-base")
    finally:
        gc.enable()
    assert (judged.exception, len(models)) == (None, 2)


def test_a_judgement_that_cannot_be_stored_is_still_shown(
    adapter: Path, data: Path, typed: CliRunner, tmp_path: Path
) -> None:
    (tmp_path / "judgements").write_text("a file where a folder should be")
    judged = type_evaluate(typed, str(adapter), data)
    assert "eval_loss: " in judged.output
    assert isinstance(judged.exception, AdapterError)
    said = (
        r"the judgement is shown above but was not stored: "
        rf"{tmp_path}/judgements/{adapter.name}/evaluation\.json cannot be written: .*"
    )
    assert re.fullmatch(said, str(judged.exception))


def test_a_stored_judgement_takes_precedence_over_the_adapters_own(
    pair: tuple[Path, Path], typed: CliRunner, tmp_path: Path
) -> None:
    served, candidate = pair
    came_with_it = (served / EVALUATION_FILE).read_bytes()
    others = write_others(tmp_path, "validation")
    with open_context() as context:
        for folder in pair:
            registry.register(context.database, folder)
        promote(context.database, served.name, DesiredAdapter(None, ""), context.judgements, is_forced=True)
    assert type_evaluate(typed, "active", others).exit_code == 0
    refused = typed.invoke(adapters_cli.adapters, ["promote", candidate.name])
    assert "Run `aftercall evaluate` for both" in str(refused.exception)
    assert type_evaluate(typed, candidate.name, others).exit_code == 0
    compared = typed.invoke(adapters_cli.adapters, ["diff", candidate.name, served.name])
    assert "rouge_average" in compared.output
    assert (served / EVALUATION_FILE).read_bytes() == came_with_it


def test_a_judgement_on_the_test_split_is_shown_but_not_stored(adapter: Path, typed: CliRunner, tmp_path: Path) -> None:
    judged = type_evaluate(typed, str(adapter), write_others(tmp_path, "test"), "--split", "test")
    assert "24 conversations" in judged.output
    with open_context() as context:
        assert context.judgements.find(adapter) == load_judgement(adapter / EVALUATION_FILE)


def test_the_active_adapter_is_not_compared_with_itself_by_another_path(
    pair: tuple[Path, Path], data: Path, typed: CliRunner
) -> None:
    active, other = pair
    with open_context() as context:
        digest = registry.register(context.database, active).digest
        promote(context.database, digest, DesiredAdapter(None, ""), context.judgements, is_forced=True)
    for folder in pair:
        assert type_evaluate(typed, str(folder), data).exit_code == 0
    spelt = active.parent / ".." / active.parent.name / active.name
    assert "active now" not in type_evaluate(typed, str(spelt), data).output
    assert "active now" in type_evaluate(typed, str(other), data).output


def test_an_adapter_that_could_not_be_registered_is_registered_by_the_suggested_command(
    data: Path, tmp_path: Path, typed: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "SQLITE_BUSY_TIMEOUT_MS", 10)
    with open_context():
        pass
    with closing(sqlite3.connect(tmp_path / "aftercall.db")) as another:
        another.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseError, match=r"database is locked") as refusal:
            type_train(typed, data)
    (folder,) = (tmp_path / "adapters").iterdir()
    command = re.search(r"`aftercall adapters (register .*)`", str(refusal.value))
    assert command
    registered = typed.invoke(adapters_cli.adapters, command[1].split(), catch_exceptions=False)
    assert registered.output.startswith(f"candidate: {folder.name} in {folder}")
