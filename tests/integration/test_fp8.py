"""8-bit linear layers as a setting: recorded, refused where the device cannot, never swapped by halves.

PyTorch computes the product on a CPU too, slowly, so everything but the refusal runs here for real.
"""

import dataclasses
from pathlib import Path

import pytest
import torch

from aftercall.errors import ModelError
from tests.fixtures.model import build_tiny_model
from worker.adapters.lora import NotSwappableError
from worker.engine import start_engine
from worker.engine.base import Completion, SamplingSettings
from worker.engine.layers.float8 import Float8Linear, round_linears
from worker.loading.load import ModelSettings, load_model
from worker.loading.precision import check_quantization
from worker.serving.hot_swap import LiveAdapter


@pytest.fixture
def settings(tiny_model_dir: Path, tmp_path: Path) -> ModelSettings:
    return ModelSettings(str(tiny_model_dir), "fp8", "bfloat16", None, "cpu", tmp_path / "cache", is_swappable=True)


def test_a_cpu_refuses_it_with_a_sentence(settings: ModelSettings) -> None:
    with pytest.raises(ModelError, match=r"fp8 needs an NVIDIA GPU .* this process runs on a CPU. Set it to auto"):
        load_model(settings)


@pytest.mark.parametrize(
    ("capability", "dtype", "sentence"),
    [
        ((8, 0), torch.bfloat16, r"compute capability 9\.0 or later .* this is Some GPU\. Set it to auto"),
        ((9, 0), torch.float16, r"COMPUTE_DTYPE asks for float16\. Set the compute dtype to auto"),
        ((9, 0), torch.bfloat16, None),
    ],
)
def test_a_gpu_refuses_what_it_cannot_compute(
    capability: tuple[int, int], dtype: torch.dtype, sentence: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Some GPU")
    if sentence is None:
        check_quantization("fp8", dtype, torch.device("cuda", 0))
        return
    with pytest.raises(ModelError, match=sentence):
        check_quantization("fp8", dtype, torch.device("cuda", 0))


def test_the_engine_runs_on_rounded_layers_and_says_so(
    settings: ModelSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.loading.load.check_quantization", lambda *_: None)
    loaded = load_model(settings)
    assert loaded.provenance.held == "quantization fp8, bfloat16"
    live = LiveAdapter(dataclasses.replace(loaded, originals={"model.layers.0.self_attn.q_proj": torch.zeros(1)}))
    engine = start_engine(loaded, SamplingSettings(max_new_tokens=8))
    assert isinstance(loaded.model.get_decoder().layers[0].self_attn.q_proj, Float8Linear)
    [outcome] = engine.generate([loaded.tokenizer("user: where is it?")["input_ids"]])
    assert isinstance(outcome, Completion)
    # What was merged before the rounding cannot be taken out again: the follower starts a fresh process.
    with pytest.raises(NotSwappableError, match="q_proj is not a plain linear layer here"):
        live.stage(None, "")
    engine.close()


def test_a_layer_of_odd_size_is_a_sentence() -> None:
    model = build_tiny_model("llama").model
    model.get_decoder().layers[1].mlp.up_proj = torch.nn.Linear(64, 120, bias=False)
    with pytest.raises(ModelError, match="multiples of 16; this model's up_proj has 64 x 120"):
        round_linears(model)
