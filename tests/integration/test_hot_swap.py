"""Another adapter under a running engine: what it answers is what a fresh start with that adapter answers."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from adapters import find_shipped
from aftercall.errors import AdapterError
from bench.random_adapter import ATTENTION, make_adapter
from worker.adapters.lora import NotSwappableError
from worker.adapters.manifest import CONFIG_FILE, WEIGHTS_FILE, compute_digest, read_manifest, write_manifest
from worker.engine import start_engine
from worker.engine.base import Completion, Engine, SamplingSettings
from worker.loading.base_model import PACKAGED_MODEL, BaseModel, find_base_model
from worker.loading.load import LoadedModel, ModelSettings, load_model
from worker.loading.precision import choose_quantization
from worker.serving.hot_swap import LiveAdapter
from worker.serving.prompts import PromptEncoder

SAMPLING = SamplingSettings(max_new_tokens=16)
MLP = frozenset({"gate_proj", "up_proj", "down_proj"})
PROMPTS = [f"user: order {number} is late\nagent: we send another one\n" for number in range(3)]


@pytest.fixture
def base(tiny_model_dir: Path, tmp_path: Path) -> BaseModel:
    return find_base_model(str(tiny_model_dir), tmp_path)


@pytest.fixture
def few(base: BaseModel, tmp_path: Path) -> Path:
    """An adapter of rank 4 on two layers' queries and values."""
    return make_adapter(tmp_path, base, 1, rank=4, targets={"q_proj", "v_proj"}, size=0.5)


@pytest.fixture
def many(base: BaseModel, tmp_path: Path) -> Path:
    """One of rank 8 on everything."""
    return make_adapter(tmp_path, base, 2, rank=8, targets=ATTENTION | MLP, size=0.5)


@pytest.fixture
def settings(tiny_model_dir: Path, tmp_path: Path) -> ModelSettings:
    return ModelSettings(str(tiny_model_dir), "none", "float32", None, "cpu", tmp_path, is_swappable=True)


def load(settings: ModelSettings, folder: Path | None) -> LoadedModel:
    return load_model(replace(settings, adapter_path=folder))


def put(live: LiveAdapter, folder: Path | None) -> str:
    """The digest of what is served afterwards."""
    return live.apply(live.stage(folder, folder.name if folder else "")).adapter_digest


def answers(engine: Engine, loaded: LoadedModel) -> list[str]:
    encoder = PromptEncoder(loaded.tokenizer)
    prompts = [encoder.encode(text, engine.max_prompt_tokens).token_ids for text in PROMPTS]
    completions = engine.generate(prompts)
    assert all(isinstance(completion, Completion) for completion in completions)
    return [completion.text for completion in completions if isinstance(completion, Completion)]


def fresh_answers(settings: ModelSettings, folder: Path | None) -> list[str]:
    loaded = load(settings, folder)
    engine = start_engine(loaded, SAMPLING)
    try:
        return answers(engine, loaded)
    finally:
        engine.close()


def weights(loaded: LoadedModel) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in loaded.model.state_dict().items()}


@pytest.mark.parametrize(
    ("quantization", "compute_dtype"), [("none", "float32"), ("none", "bfloat16"), ("nf4", "bfloat16")]
)
def test_an_engine_answers_as_one_started_with_the_adapter(
    settings: ModelSettings, few: Path, many: Path, quantization: Any, compute_dtype: Any
) -> None:
    """Through other ranks, other layers and none at all, there and back again, without a trace of those before."""
    settings = replace(settings, quantization=quantization, compute_dtype=compute_dtype, may_dequantize=True)
    loaded = load(settings, few)
    live = LiveAdapter(loaded)
    engine = start_engine(loaded, SAMPLING)
    expected = {folder: fresh_answers(settings, folder) for folder in (few, many, None)}
    assert len({tuple(texts) for texts in expected.values()}) == 3
    for folder in (many, few, None, many, None, few):
        assert put(live, folder) == (folder.name if folder else "")
        assert answers(engine, loaded) == expected[folder]
    engine.close()
    for name, tensor in weights(load(settings, few)).items():
        assert torch.equal(loaded.model.state_dict()[name], tensor), name


def test_an_adapter_attached_to_quantized_weights_is_replaced_by_one_of_the_same_shape(
    settings: ModelSettings, base: BaseModel, few: Path, many: Path, tmp_path: Path
) -> None:
    settings = replace(settings, quantization="nf4")
    alike = make_adapter(tmp_path, base, 3, rank=4, targets={"q_proj", "v_proj"}, size=0.5)
    loaded = load(settings, few)
    live = LiveAdapter(loaded)
    engine = start_engine(loaded, SAMPLING)
    expected = fresh_answers(settings, alike)
    assert answers(engine, loaded) != expected
    assert put(live, alike) == alike.name
    assert answers(engine, loaded) == expected
    for other in (many, None):
        with pytest.raises(
            NotSwappableError, match="only an adapter of the same layers, ranks and scaling can replace"
        ):
            put(live, other)
    engine.close()


def test_an_adapter_that_needs_other_base_weights_needs_a_fresh_process(
    settings: ModelSettings, few: Path, many: Path
) -> None:
    """On a GPU, one trained on NF4 and one trained on unquantized weights."""
    write_manifest(many, replace(read_manifest(many), quantization="nf4"))
    on_a_gpu = partial(choose_quantization, "auto", torch.device("cuda"), has_room=True)
    live = LiveAdapter(replace(load(settings, few), choose_quantization=on_a_gpu))
    for other in (many, None):
        with pytest.raises(NotSwappableError, match="weights of quantization nf4, and those here are none"):
            put(live, other)
    assert put(live, few) == few.name

    quantized = load(replace(settings, quantization="nf4", may_dequantize=True), many)
    live = LiveAdapter(replace(quantized, choose_quantization=on_a_gpu))
    with pytest.raises(NotSwappableError, match="quantization none, and those here are nf4"):
        put(live, few)
    assert put(live, None) == ""


def test_a_broken_adapter_is_refused_before_it_costs_a_fresh_process(
    settings: ModelSettings, few: Path, many: Path
) -> None:
    """Which could not load it either, and would take all workers along."""
    write_manifest(many, replace(read_manifest(many), quantization="nf4"))
    (many / WEIGHTS_FILE).write_bytes((many / WEIGHTS_FILE).read_bytes()[:-1000])
    digest = compute_digest(many)
    write_manifest(many, replace(read_manifest(many), digest=digest))
    on_a_gpu = partial(choose_quantization, "auto", torch.device("cuda"), has_room=True)
    with pytest.raises(AdapterError):
        LiveAdapter(replace(load(settings, few), choose_quantization=on_a_gpu)).stage(many, digest)


def test_only_plain_lora_is_swapped(settings: ModelSettings, few: Path, tmp_path: Path) -> None:
    """What goes beyond it is never guessed at: a fresh process loads it with peft."""
    live = LiveAdapter(load(settings, None))
    for change in ({"use_dora": True}, {"init_lora_weights": "pissa"}, {"alpha_pattern": {"q_proj": 8}}):
        config = json.loads((few / CONFIG_FILE).read_text())
        (few / CONFIG_FILE).write_text(json.dumps(config | change))
        digest = compute_digest(few)
        write_manifest(few, replace(read_manifest(few), digest=digest))
        with pytest.raises(NotSwappableError, match=next(iter(change))):
            live.stage(few, digest)
        (few / CONFIG_FILE).write_text(json.dumps(config))


@pytest.mark.parametrize("change", [{"lora_alpha": 3}, {"lora_alpha": 3, "use_rslora": True}])
def test_the_scaling_is_that_of_peft(settings: ModelSettings, few: Path, change: dict[str, Any]) -> None:
    config = json.loads((few / CONFIG_FILE).read_text())
    (few / CONFIG_FILE).write_text(json.dumps(config | change))
    digest = compute_digest(few)
    write_manifest(few, replace(read_manifest(few), digest=digest))
    loaded = load(settings, None)
    live = LiveAdapter(loaded)
    live.apply(live.stage(few, digest))
    started = weights(load(settings, few))
    assert all(torch.equal(tensor, started[name]) for name, tensor in weights(loaded).items())


def test_one_for_other_layers_is_refused(settings: ModelSettings, tmp_path: Path) -> None:
    """A fresh process could not load it either."""
    live = LiveAdapter(load(settings, None))
    for change, cause in (({"hidden_size": 128}, "has the shape"), ({"num_hidden_layers": 3}, "there is no")):
        model = LlamaForCausalLM(LlamaConfig(**{**load(settings, None).model.config.to_dict(), **change}))
        model.save_pretrained(tmp_path / cause / "tiny-llama")
        (tmp_path / cause / "tiny-llama" / "tokenizer.json").write_text("{}")
        other = find_base_model(str(tmp_path / cause / "tiny-llama"), tmp_path)
        folder = make_adapter(tmp_path / cause, other, 5)
        write_manifest(folder, replace(read_manifest(folder), base_digest=None))
        with pytest.raises(AdapterError, match=f"does not fit this model's layers: .*{cause}"):
            live.stage(folder, folder.name)


def test_an_adapter_that_peft_alone_understands_stays_until_a_fresh_process(settings: ModelSettings, few: Path) -> None:
    config = json.loads((few / CONFIG_FILE).read_text())
    (few / CONFIG_FILE).write_text(json.dumps(config | {"alpha_pattern": {"q_proj": 8}}))
    write_manifest(few, replace(read_manifest(few), digest=compute_digest(few)))
    live = LiveAdapter(load(settings, few))
    with pytest.raises(NotSwappableError):
        live.stage(None, "")


def test_a_folder_that_is_not_what_the_registry_says_is_refused_untouched(
    settings: ModelSettings, few: Path, many: Path
) -> None:
    loaded = load(settings, few)
    before = weights(loaded)
    live = LiveAdapter(loaded)
    with pytest.raises(AdapterError, match=f"holds adapter {many.name}, but the registry expects 0123"):
        live.stage(many, "0123")
    (many / WEIGHTS_FILE).write_bytes(b"half")
    with pytest.raises(AdapterError, match="were changed after publishing"):
        live.stage(many, many.name)
    with pytest.raises(AdapterError, match="is missing"):
        live.stage(many.parent / "nowhere", "nowhere")
    assert all(torch.equal(tensor, before[name]) for name, tensor in loaded.model.state_dict().items())


def test_the_packaged_model_writes_the_same_tokens_after_a_swap_as_after_a_start(
    loaded_model: LoadedModel, model_cache_dir: Path
) -> None:
    shipped = find_shipped(PACKAGED_MODEL)
    assert shipped
    loaded = replace(loaded_model, originals={})
    live = LiveAdapter(loaded)
    engine = start_engine(loaded, SAMPLING)
    bare = answers(engine, loaded)
    assert put(live, shipped) == shipped.name
    swapped = answers(engine, loaded)
    # The model is the session's.
    put(live, None)
    engine.close()
    settings = ModelSettings(PACKAGED_MODEL, "none", "float32", shipped, "cpu", model_cache_dir)
    assert swapped == fresh_answers(settings, shipped) != bare
