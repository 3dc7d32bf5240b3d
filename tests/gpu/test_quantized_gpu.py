"""NF4 on a CUDA device: kept in memory, dequantized once, and as a T4 would run it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("bitsandbytes")
if not torch.cuda.is_available():
    pytest.skip("no CUDA device", allow_module_level=True)

from peft import LoraConfig, get_peft_model  # noqa: E402
from transformers import AutoModelForCausalLM, BitsAndBytesConfig  # noqa: E402

from tests.gpu.judging import PHI, complete, judge, random_model, random_prompts  # noqa: E402
from worker.engine.base import SamplingSettings  # noqa: E402
from worker.engine.options import EngineOptions  # noqa: E402
from worker.loading.dequantize import dequantize_where_it_fits  # noqa: E402

pytestmark = pytest.mark.gpu

SETTINGS = SamplingSettings(max_new_tokens=20)
OPTIONS = EngineOptions(24, 1024, 512, max_model_len=512, memory_share=0.1)


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    random_model(PHI, torch.float32).save_pretrained(folder)
    return folder


@pytest.fixture
def emulated_t4() -> Iterator[None]:
    """15 GiB and no flash attention."""
    _, total = torch.cuda.mem_get_info()
    torch.cuda.set_per_process_memory_fraction(min(1.0, 15 * 2**30 / total))
    torch.backends.cuda.enable_flash_sdp(False)
    torch.backends.cuda.enable_cudnn_sdp(False)
    yield
    torch.backends.cuda.enable_cudnn_sdp(True)
    torch.backends.cuda.enable_flash_sdp(True)
    torch.cuda.set_per_process_memory_fraction(1.0)


def load_nf4(folder: Path, dtype: torch.dtype) -> Any:
    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )
    where = {"": torch.device("cuda", 0)}
    return AutoModelForCausalLM.from_pretrained(
        folder, quantization_config=config, dtype=dtype, device_map=where
    ).eval()


def load_exact(folder: Path, dtype: torch.dtype) -> Any:
    model = load_nf4(folder, dtype)
    assert dequantize_where_it_fits(model, dtype, 2**40)
    return model.float()


def attach(model: Any) -> Any:
    torch.manual_seed(2)
    lora = LoraConfig(r=4, target_modules=["q_proj", "v_proj", "fc1"], init_lora_weights=False)
    return get_peft_model(model, lora, autocast_adapter_dtype=False).eval()


@pytest.mark.parametrize("has_adapter", [False, True], ids=["plain", "adapter"])
@pytest.mark.parametrize("is_compiled", [False, True], ids=["eager", "compiled"])
def test_nf4_in_memory_answers_like_transformers(model_dir: Path, is_compiled: bool, has_adapter: bool) -> None:
    torch.manual_seed(0)
    prompts = random_prompts(40)
    model, exact = load_nf4(model_dir, torch.bfloat16), load_exact(model_dir, torch.bfloat16)
    if has_adapter:
        model, exact = attach(model), attach(exact)
    completions = complete(model, prompts, SETTINGS, replace(OPTIONS, is_compiled=is_compiled))
    parting = judge(model, exact, prompts, completions)
    print(parting)  # noqa: T201 - the rate that docs/engine.md reports
    parting.check()


def test_dequantized_once_answers_like_nf4(model_dir: Path) -> None:
    torch.manual_seed(0)
    prompts = random_prompts(40)
    model = load_nf4(model_dir, torch.bfloat16)
    assert dequantize_where_it_fits(model, torch.bfloat16, 2**40)
    assert not model.is_quantized
    completions = complete(model, prompts, SETTINGS, replace(OPTIONS, is_compiled=True, is_gelu_fused=True))
    judge(load_nf4(model_dir, torch.bfloat16), load_exact(model_dir, torch.bfloat16), prompts, completions).check()


@pytest.mark.usefixtures("emulated_t4")
def test_a_t4_finishes_every_conversation(model_dir: Path) -> None:
    torch.manual_seed(0)
    prompts = random_prompts(120)
    model, exact = attach(load_nf4(model_dir, torch.float16)), attach(load_exact(model_dir, torch.float16))
    options = replace(EngineOptions.for_gpu((7, 5)), attention="gathered")
    completions = complete(model, prompts, SETTINGS, options)
    judge(model, exact, prompts, completions).check()
