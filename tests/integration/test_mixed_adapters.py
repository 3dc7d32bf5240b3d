"""Several adapters in one batch: each conversation is completed as if its adapter were served alone."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters import find_shipped
from bench.random_adapter import ATTENTION, make_adapter
from tests.fixtures.model import build_tiny_model
from tests.fixtures.workers import TIMEOUT_S, wait_until
from worker.engine import start_engine
from worker.engine.base import Completion, Engine, PromptFailure, SamplingSettings
from worker.engine.build import build_engine
from worker.engine.layers.compile import decoder_layers
from worker.engine.options import EngineOptions
from worker.loading.base_model import PACKAGED_MODEL, find_base_model
from worker.loading.load import LoadedModel, ModelSettings, load_model
from worker.serving.adapter_pool import AdapterPool
from worker.serving.hot_swap import LiveAdapter
from worker.serving.prompts import PromptEncoder

SAMPLING = SamplingSettings(max_new_tokens=16)
MLP = frozenset({"gate_proj", "up_proj", "down_proj", "fc1", "fc2"})

#: Small enough that prompts wait, join late and are preempted.
CRAMPED = EngineOptions(max_num_seqs=5, max_num_batched_tokens=400, min_prefill_tokens=100)


@pytest.fixture(params=["llama", "phi"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> ModelSettings:
    """A tiny model of each family as a folder; phi has the layer that a GPU fuses with its activation."""
    folder = tmp_path / f"tiny-{request.param}"
    tiny = build_tiny_model(request.param)
    tiny.model.save_pretrained(folder)
    tiny.tokenizer.save_pretrained(folder)
    return ModelSettings(str(folder), "none", "float32", None, "cpu", tmp_path, is_swappable=True)


@pytest.fixture
def folders(settings: ModelSettings, tmp_path: Path) -> dict[str, Path]:
    """Three adapters by digest: of other layers, ranks and sizes."""
    base = find_base_model(settings.base_model, tmp_path)
    made = [
        make_adapter(tmp_path, base, 1, rank=4, targets={"q_proj", "v_proj"}, size=0.5),
        make_adapter(tmp_path, base, 2, rank=8, targets=ATTENTION | MLP, size=0.3),
        make_adapter(tmp_path, base, 3, rank=2, targets=MLP, size=0.5),
    ]
    return {folder.name: folder for folder in made}


def prompts_of(loaded: LoadedModel, num: int = 6) -> list[list[int]]:
    encoder = PromptEncoder(loaded.tokenizer)
    texts = [f"user: order {number} is late{' again' * number}\nagent: sorry\n" for number in range(num)]
    return [encoder.encode(text, 230).token_ids for text in texts]


def tokens(outcomes: Sequence[Completion | PromptFailure]) -> list[tuple[int, ...]]:
    assert all(isinstance(outcome, Completion) for outcome in outcomes), outcomes
    return [outcome.token_ids for outcome in outcomes if isinstance(outcome, Completion)]


def alone(settings: ModelSettings, folder: Path | None) -> list[tuple[int, ...]]:
    """What a worker that serves only this adapter completes."""
    loaded = load_model(replace(settings, adapter_path=folder))
    engine = start_engine(loaded, SAMPLING)
    try:
        return tokens(engine.generate(prompts_of(loaded)))
    finally:
        engine.close()


def make_pool(loaded: LoadedModel, engine: Engine, folders: dict[str, Path], max_adapters: int = 3) -> AdapterPool:
    return AdapterPool(loaded, engine, folders.get, max_adapters)


@pytest.fixture
def serve(settings: ModelSettings) -> Iterator[Callable[[Path | None], tuple[LoadedModel, Engine]]]:
    engines: list[Engine] = []

    def start(folder: Path | None) -> tuple[LoadedModel, Engine]:
        loaded = load_model(replace(settings, adapter_path=folder))
        engines.append(build_engine(loaded.model, loaded.tokenizer, SAMPLING, CRAMPED))
        return loaded, engines[-1]

    yield start
    for engine in engines:
        engine.close()


Serve = Callable[[Path | None], tuple[LoadedModel, Engine]]


@pytest.mark.parametrize("served", [None, 0, 1], ids=["base served", "one served", "another served"])
def test_adapters_of_one_batch_complete_as_each_does_alone(
    settings: ModelSettings, folders: dict[str, Path], serve: Serve, served: int | None
) -> None:
    """Four answers to each of six prompts, shuffled over one batch of five rows."""
    by_digest = {"": None} | folders
    expected = {digest: alone(settings, folder) for digest, folder in by_digest.items()}
    assert len({answers[0] for answers in expected.values()}) == 4, "the adapters change nothing"
    loaded, engine = serve(None if served is None else list(folders.values())[served])
    prompts = prompts_of(loaded)
    digests = [digest for _ in prompts for digest in by_digest]
    with make_pool(loaded, engine, folders).holding(digests, loaded.provenance) as held:
        assert not held.refused
        outcomes = engine.generate(
            [p for p in prompts for _ in by_digest], adapters=[held.names[digest] for digest in digests]
        )
    completed = tokens(outcomes)
    for index, digest in enumerate(by_digest):
        assert completed[index::4] == expected[digest]


def test_after_a_swap_the_other_adapters_are_what_they_were(
    settings: ModelSettings, folders: dict[str, Path], serve: Serve
) -> None:
    """What each adds is relative to the weights, which the swap changed."""
    first, second, third = folders
    loaded, engine = serve(folders[first])
    pool, live, prompts = make_pool(loaded, engine, folders), LiveAdapter(loaded), prompts_of(loaded)
    with pool.holding([second], loaded.provenance) as held:
        before = tokens(engine.generate(prompts, adapters=[held.names[second]] * len(prompts)))
    pool.clear()
    provenance = live.apply(live.stage(folders[third], third))
    with pool.holding([second, first], provenance) as held:
        assert tokens(engine.generate(prompts, adapters=[held.names[second]] * len(prompts))) == before
        assert tokens(engine.generate(prompts, adapters=[held.names[first]] * len(prompts))) == alone(
            settings, folders[first]
        )
    assert tokens(engine.generate(prompts)) == alone(settings, folders[third])


def test_compiled_layers_let_adapters_in(
    settings: ModelSettings, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU, but for the kernels: the layers are traced, and traced anew when the first adapter comes."""

    def trace_layers(model: Any) -> None:
        for layer in decoder_layers(model):
            layer.compile(dynamic=True, backend="aot_eager")

    monkeypatch.setattr("worker.engine.runner.compile_layers", trace_layers)
    monkeypatch.setattr("worker.engine.loaded_adapters.compile_layers", trace_layers)
    first, second, _ = folders
    expected = {digest: alone(settings, folders[digest]) for digest in (first, second)}
    loaded = load_model(replace(settings, adapter_path=folders[first]))
    options = replace(CRAMPED, is_compiled=True, is_gelu_fused=True)
    engine, prompts = build_engine(loaded.model, loaded.tokenizer, SAMPLING, options), prompts_of(loaded)
    try:
        assert tokens(engine.generate(prompts)) == expected[first]
        with make_pool(loaded, engine, folders).holding([second], loaded.provenance) as held:
            names = ["", held.names[second]] * len(prompts)
            completed = tokens(engine.generate([p for p in prompts for _ in "ab"], adapters=names))
        assert completed[::2] == expected[first]
        assert completed[1::2] == expected[second]
    finally:
        engine.close()


@pytest.mark.parametrize("settings", ["llama"], indirect=True)
def test_no_more_are_loaded_than_the_limit(folders: dict[str, Path], serve: Serve) -> None:
    """The one that was unused for longest makes room; a call that finds no room waits."""
    first, second, third = folders
    loaded, engine = serve(None)
    pool, [prompt, *_] = make_pool(loaded, engine, folders, max_adapters=2), prompts_of(loaded)

    def is_loaded(digest: str) -> bool:
        return isinstance(engine.generate([prompt], adapters=[digest])[0], Completion)

    for digest in (first, second, first, third):
        with pool.holding([digest], loaded.provenance) as held:
            assert held.names[digest] == digest
    assert [is_loaded(digest) for digest in folders] == [True, False, True]
    has_begun = threading.Event()

    def use_second() -> str:
        has_begun.set()
        with pool.holding([second], loaded.provenance) as held:
            return held.names[second]

    with ThreadPoolExecutor(1) as threads:
        with pool.holding([first, third], loaded.provenance):
            waiting = threads.submit(use_second)
            assert has_begun.wait(TIMEOUT_S)
            assert not is_loaded(second)
            assert not waiting.done()
        assert waiting.result(TIMEOUT_S) == second
    wait_until(lambda: is_loaded(second), "the waiting one loaded")


@pytest.mark.parametrize("settings", ["llama"], indirect=True)
def test_what_does_not_fit_is_refused_with_a_reason(
    folders: dict[str, Path], serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    loaded, engine = serve(None)
    other = tmp_path / "other"
    build_tiny_model("phi").model.save_pretrained(other)
    stranger = make_adapter(tmp_path, replace(find_base_model(str(other), tmp_path), name="tiny-llama"), 9)
    folders = folders | {stranger.name: stranger}
    pool = make_pool(loaded, engine, folders, max_adapters=5)
    for _ in range(2):
        with pool.holding([*folders, "unknown"], loaded.provenance) as held:
            assert set(held.refused) == {stranger.name, "unknown"}
            assert held.refused["unknown"] == "no adapter unknown is registered"
            assert "tiny-llama" in held.refused[stranger.name]
    assert caplog.text.count("adapter unknown can't be served here") == 1, "said once, not for every chunk"


def test_the_packaged_models_shipped_adapter_next_to_the_base_alone(
    loaded_model: LoadedModel, model_cache_dir: Path
) -> None:
    shipped = find_shipped(PACKAGED_MODEL)
    assert shipped
    settings = ModelSettings(PACKAGED_MODEL, "none", "float32", None, "cpu", model_cache_dir)
    expected = alone(settings, None), alone(replace(settings, adapter_path=shipped), shipped)
    engine = start_engine(loaded_model, SAMPLING)
    try:
        prompts = prompts_of(loaded_model)
        pool = make_pool(loaded_model, engine, {shipped.name: shipped})
        with pool.holding(["", shipped.name], loaded_model.provenance) as held:
            names = ["", held.names[shipped.name]] * len(prompts)
            completed = tokens(engine.generate([p for p in prompts for _ in "ab"], adapters=names))
    finally:
        engine.close()
    assert (completed[::2], completed[1::2]) == expected
