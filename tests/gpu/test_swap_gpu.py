"""Another adapter under a running engine on a CUDA device: graphs and compiled layers go on with its weights."""

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    pytest.skip("no CUDA device", allow_module_level=True)

from bench.random_adapter import ATTENTION, make_adapter  # noqa: E402
from tests.fixtures.model import build_byte_tokenizer  # noqa: E402
from tests.gpu.judging import PHI, Recorder, random_model, random_prompts  # noqa: E402
from worker.adapters.lora import NotSwappableError  # noqa: E402
from worker.adapters.manifest import read_manifest, write_manifest  # noqa: E402
from worker.engine.base import Completion, SamplingSettings  # noqa: E402
from worker.engine.build import assemble_engine  # noqa: E402
from worker.engine.engine import BatchingEngine  # noqa: E402
from worker.engine.options import EngineOptions  # noqa: E402
from worker.engine.runner import ModelRunner  # noqa: E402
from worker.loading.base_model import BaseModel, find_base_model  # noqa: E402
from worker.loading.load import LoadedModel, ModelSettings, load_model  # noqa: E402
from worker.serving.hot_swap import LiveAdapter  # noqa: E402

pytestmark = pytest.mark.gpu

SETTINGS = SamplingSettings(max_new_tokens=20)
OPTIONS = EngineOptions(24, 1024, 512, max_model_len=512, memory_share=0.1, is_compiled=True, is_gelu_fused=True)


def start(loaded: LoadedModel) -> BatchingEngine:
    return assemble_engine(ModelRunner(loaded.model, SETTINGS, OPTIONS), Recorder(), SETTINGS, OPTIONS)  # type: ignore[arg-type]


def answers(engine: BatchingEngine) -> list[str]:
    torch.manual_seed(0)
    completions = engine.generate(random_prompts(40))
    return [completion.text for completion in completions if isinstance(completion, Completion)]


def save_base(folder: Path) -> BaseModel:
    random_model(PHI, torch.bfloat16).save_pretrained(folder / "phi")
    build_byte_tokenizer().save_pretrained(folder / "phi")
    return find_base_model(str(folder / "phi"), folder)


@pytest.mark.parametrize("quantization", ["none", "nf4"])
def test_graphs_answer_as_a_fresh_start_with_the_adapter_does(tmp_path: Path, quantization: Any) -> None:
    if quantization == "nf4" and importlib.util.find_spec("bitsandbytes") is None:
        pytest.skip("bitsandbytes is not installed")
    base = save_base(tmp_path)
    few = make_adapter(tmp_path, base, 1, rank=4, targets={"q_proj", "v_proj"}, size=0.2)
    many = make_adapter(tmp_path, base, 2, targets=ATTENTION | {"fc1", "fc2"}, size=0.2)
    settings = ModelSettings(
        str(base.folder), quantization, "bfloat16", few, "cuda", tmp_path, may_dequantize=True, is_swappable=True
    )

    loaded = load_model(settings)
    places = {name: weight.data_ptr() for name, weight in loaded.model.named_parameters()}
    live = LiveAdapter(loaded)
    engine = start(loaded)
    got = {few: answers(engine)}
    for folder in (many, None, few, many):
        live.apply(live.stage(folder, folder.name if folder else ""))
        assert got.setdefault(folder, answers(engine)) == answers(engine)
    engine.close()
    assert {name: weight.data_ptr() for name, weight in loaded.model.named_parameters()} == places
    assert len({tuple(texts) for texts in got.values()}) == 3

    fresh = load_model(replace(settings, adapter_path=many))
    for name, weight in fresh.model.named_parameters():
        assert torch.equal(weight, loaded.model.get_parameter(name)), name
    engine = start(fresh)
    assert answers(engine) == got[many]
    engine.close()


def test_the_weights_are_held_as_the_adapter_was_trained_on_them(tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    base = save_base(tmp_path)
    on_plain, on_nf4 = (make_adapter(tmp_path, base, seed) for seed in (1, 2))
    write_manifest(on_nf4, replace(read_manifest(on_nf4), quantization="nf4"))
    settings = ModelSettings(
        str(base.folder), "auto", "auto", None, "cuda", tmp_path, may_dequantize=True, is_swappable=True
    )
    loaded = {folder: load_model(replace(settings, adapter_path=folder)) for folder in (on_plain, on_nf4, None)}
    held = [each.provenance.held for each in loaded.values()]
    assert held == ["quantization none, bfloat16", *["quantization nf4, dequantized, bfloat16"] * 2]

    live = LiveAdapter(loaded[on_plain])
    with pytest.raises(NotSwappableError, match="weights of quantization nf4, and those here are none"):
        live.stage(on_nf4, on_nf4.name)
    LiveAdapter(loaded[on_nf4]).stage(None, "")
