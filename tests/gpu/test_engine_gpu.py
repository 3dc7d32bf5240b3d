"""The engine on a CUDA device: completions against transformers' own model."""

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    pytest.skip("no CUDA device", allow_module_level=True)

from transformers import PreTrainedConfig  # noqa: E402

from tests.fixtures.tensor_attention import Replayed  # noqa: E402
from tests.gpu.judging import LLAMA, PHI, complete, judge, random_model, random_prompts  # noqa: E402
from worker.engine import runner  # noqa: E402
from worker.engine.base import SamplingSettings  # noqa: E402
from worker.engine.options import EngineOptions  # noqa: E402

pytestmark = pytest.mark.gpu

CONFIGS = pytest.mark.parametrize("config", [PHI, LLAMA], ids=["phi", "llama"])
SMALL = EngineOptions(24, 1024, 512, max_model_len=512, memory_share=0.1)
WAYS = {
    "eager": SMALL,
    "compiled": replace(SMALL, is_compiled=True),
    "fused": replace(SMALL, is_compiled=True, is_gelu_fused=True),
    "uncaptured": replace(SMALL, is_compiled=True, is_gelu_fused=True, is_captured=False),
    "gathered": replace(SMALL, attention="gathered"),
}


@CONFIGS
@pytest.mark.parametrize("options", WAYS.values(), ids=WAYS)
def test_half_precision_parts_no_more_than_transformers_does(config: PreTrainedConfig, options: EngineOptions) -> None:
    """On the engine's own completions, float32 says how good each choice was, the engine's and transformers'."""
    torch.manual_seed(0)
    prompts = random_prompts(40)
    model = random_model(config, torch.bfloat16)
    completions = complete(model, prompts, SamplingSettings(max_new_tokens=20), options)
    parting = judge(model, random_model(config, torch.bfloat16).float(), prompts, completions)
    print(config.model_type, parting)  # noqa: T201 - the rate that docs/engine.md reports
    parting.check()


FILLS = {
    "one prompt": [5],
    "exactly full": [256] * 4,
    "more prompts than any graph holds": [5] * 23,
    "longer than any graph holds": [490, 490, 400],
    "mixed": [300, 1, 64, 65, 250, 8, 63, 128, 17, 450, 90, 33, 16, 200, 2, 77],
}


@CONFIGS
@pytest.mark.parametrize("lengths", FILLS.values(), ids=FILLS)
def test_graphs_compute_what_their_steps_do(
    config: PreTrainedConfig, lengths: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same inputs through the same kernels, launched one by one."""
    torch.manual_seed(0)
    prompts = [torch.randint(0, 512, (length,)).tolist() for length in lengths]
    options = replace(SMALL, max_num_batched_tokens=1024 if max(lengths) < 490 else 480, is_compiled=True)
    settings = SamplingSettings(max_new_tokens=20)
    model = random_model(config, torch.bfloat16)
    captured = complete(model, prompts, settings, options)
    monkeypatch.setattr(runner, "StepGraph", Replayed)
    assert complete(model, prompts, settings, options) == captured


@CONFIGS
def test_float32_equals_generate(config: PreTrainedConfig) -> None:
    torch.manual_seed(0)
    prompts = random_prompts(12)
    options = EngineOptions(5, 600, 300, max_model_len=512, memory_share=0.1)
    model = random_model(config, torch.float32)
    completions = complete(model, prompts, SamplingSettings(max_new_tokens=16), options)
    for prompt, completion in zip(prompts, completions, strict=True):
        ids = torch.tensor([prompt], device="cuda")
        generated = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=16,
            min_new_tokens=16,
            do_sample=False,
            pad_token_id=0,
            eos_token_id=None,
        )
        assert generated[0, len(prompt) :].tolist() == completion


def test_draws_do_not_depend_on_neighbours() -> None:
    torch.manual_seed(0)
    prompts = random_prompts(9)
    settings = SamplingSettings(max_new_tokens=12, do_sample=True, seed=3, top_p=0.9)
    options = EngineOptions(4, 600, 300, max_model_len=512, memory_share=0.1)
    model = random_model(PHI, torch.float32)
    together = complete(model, prompts, settings, options)
    alone = [complete(model, [prompt], settings, options)[0] for prompt in prompts]
    assert together == alone
