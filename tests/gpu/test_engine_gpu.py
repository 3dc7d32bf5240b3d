"""The engine on a CUDA device: kernels against float64, completions against transformers' own model."""

from typing import Any

import pytest

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    pytest.skip("no CUDA device", allow_module_level=True)

from transformers import AutoModelForCausalLM, LlamaConfig, PhiConfig, PreTrainedConfig  # noqa: E402

from worker.engine.base import Completion, SamplingSettings  # noqa: E402
from worker.engine.build import assemble_engine  # noqa: E402
from worker.engine.cache import LayerCache  # noqa: E402
from worker.engine.kernels.decode import decode_attention  # noqa: E402
from worker.engine.kernels.store import store_kv  # noqa: E402
from worker.engine.options import EngineOptions  # noqa: E402
from worker.engine.runner import ModelRunner  # noqa: E402

pytestmark = pytest.mark.gpu

SHAPE: dict[str, Any] = {
    "vocab_size": 512,
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_hidden_layers": 3,
    "max_position_embeddings": 1024,
    # Larger than usual: logits far enough apart that rounding seldom decides.
    "initializer_range": 0.15,
}
PHI = PhiConfig(num_attention_heads=4, partial_rotary_factor=0.5, **SHAPE)
LLAMA = LlamaConfig(num_attention_heads=4, num_key_value_heads=2, **SHAPE)
CONFIGS = pytest.mark.parametrize("config", [PHI, LLAMA], ids=["phi", "llama"])


class Recorder:
    """A stop rule that never stops and whose text is the token ids."""

    def finish_reason(self, completion: list[int], max_new_tokens: int) -> str | None:
        return "length" if len(completion) >= max_new_tokens else None

    def text(self, completion: list[int]) -> str:
        return " ".join(map(str, completion))


def complete(
    model: Any, prompts: list[list[int]], settings: SamplingSettings, options: EngineOptions
) -> list[list[int]]:
    engine = assemble_engine(ModelRunner(model, settings, options), Recorder(), settings, options)  # type: ignore[arg-type]
    outcomes = engine.generate(prompts)
    engine.close()
    assert all(isinstance(outcome, Completion) for outcome in outcomes), outcomes
    return [[int(token) for token in outcome.text.split()] for outcome in outcomes]  # type: ignore[union-attr]


def random_model(config: PreTrainedConfig, dtype: torch.dtype) -> Any:
    torch.manual_seed(1)
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32).to("cuda", dtype).eval()


def random_prompts(num_prompts: int) -> list[list[int]]:
    lengths = torch.randint(1, 300, (num_prompts,)).tolist()
    return [torch.randint(0, 512, (length,)).tolist() for length in lengths]


@pytest.mark.parametrize(("num_heads", "num_kv_heads", "head_dim"), [(32, 32, 64), (9, 3, 64), (8, 2, 128), (4, 4, 80)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 6e-3), (torch.float16, 1e-3), (torch.float32, 1e-5)])
def test_decode_kernel_matches_float64(
    num_heads: int, num_kv_heads: int, head_dim: int, dtype: torch.dtype, tolerance: float
) -> None:
    page_size, max_pages = 16, 20
    lengths = [1, 15, 16, 17, 64, 65, 128, 300, 320]
    pages = torch.randperm(len(lengths) * max_pages, device="cuda") + 1
    tables = pages.view(len(lengths), max_pages).int()
    size = (2, len(pages) + 1, num_kv_heads, page_size, head_dim)
    # Poisoned: a read of what nobody wrote would show.
    cache = torch.full(size, float("nan"), device="cuda", dtype=dtype)
    layer = LayerCache(keys=cache[0], values=cache[1])
    keys, values = [], []
    for table, length in zip(tables, lengths, strict=True):
        # As a model hands them over: heads first in memory.
        key = torch.randn(num_kv_heads, length, head_dim, device="cuda").to(dtype).transpose(0, 1)
        value = torch.randn(length, num_kv_heads, head_dim, device="cuda").to(dtype)
        positions = torch.arange(length, device="cuda")
        store_kv(key, value, layer, table.long()[positions // page_size] * page_size + positions % page_size)
        keys.append(key)
        values.append(value)
    query = torch.randn(len(lengths), num_heads, head_dim, device="cuda").to(dtype)
    output = decode_attention(query, layer, tables, torch.tensor(lengths, device="cuda", dtype=torch.int32), 0.11)
    for i, (key, value) in enumerate(zip(keys, values, strict=True)):
        group = num_heads // num_kv_heads
        key, value = (x.double().repeat_interleave(group, 1) for x in (key, value))
        scores = torch.einsum("hd,nhd->hn", query[i].double(), key) * 0.11
        expected = torch.einsum("hn,nhd->hd", scores.softmax(-1), value)
        error = (output[i].double() - expected).norm() / expected.norm()
        assert error < tolerance, f"length {lengths[i]}: {error:.2e}"


def gaps(logits: "torch.Tensor", chosen: "torch.Tensor") -> "torch.Tensor":
    """How far each chosen token's logit lies below the best, in standard deviations; zero where it is the best."""
    return (logits.max(dim=1).values - logits.gather(1, chosen[:, None]).squeeze(1)) / logits.std(dim=1)


@CONFIGS
@pytest.mark.parametrize("is_compiled", [False, True])
def test_half_precision_parts_no_more_than_transformers_does(config: PreTrainedConfig, is_compiled: bool) -> None:
    """On the engine's own completions, float32 says how good each choice was, the engine's and transformers'."""
    torch.manual_seed(0)
    prompts = random_prompts(40)
    options = EngineOptions(24, 1024, 512, max_model_len=512, memory_share=0.1, is_compiled=is_compiled)
    model = random_model(config, torch.bfloat16)
    completions = complete(model, prompts, SamplingSettings(max_new_tokens=20), options)
    exact = random_model(config, torch.bfloat16).float()
    ours, theirs = [], []
    for prompt, completion in zip(prompts, completions, strict=True):
        ids = torch.tensor([prompt + completion], device="cuda")
        with torch.inference_mode():
            logits = exact(ids).logits[0, len(prompt) - 1 : -1]
            rounded = model(ids).logits[0, len(prompt) - 1 : -1]
        ours.append(gaps(logits, torch.tensor(completion, device="cuda")))
        theirs.append(gaps(logits, rounded.argmax(dim=1)))
    our_gaps, their_gaps = torch.cat(ours), torch.cat(theirs)
    num_ours, num_theirs = int((our_gaps > 0).sum()), int((their_gaps > 0).sum())
    summary = f"parted {num_ours} and {num_theirs} of 800, worst {our_gaps.max():.3f} and {their_gaps.max():.3f}"
    print(config.model_type, summary)  # noqa: T201 - the rate that docs/engine.md reports
    assert num_ours <= 1.5 * num_theirs + 5, summary
    assert our_gaps.max() <= 2 * their_gaps.max(), summary


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
