"""What is inside an adapter's files, checked before torch reads them; and a base model's configuration."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from adapters import find_shipped
from aftercall.errors import AdapterError, ModelError
from worker.adapters.contents import ALLOWED_KEYS, check_contents
from worker.adapters.manifest import CONFIG_FILE, WEIGHTS_FILE
from worker.loading.base_model import PACKAGED_MODEL, find_base_model

CONFIG: dict[str, Any] = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj"]}


def write_adapter(folder: Path, config: dict[str, Any] | None = None, weights: Any = None) -> Path:
    (folder / CONFIG_FILE).write_text(json.dumps(CONFIG | (config or {})))
    save_file({"lora_A": np.ones((4, 8), "f4") if weights is None else weights}, folder / WEIGHTS_FILE)
    return folder


def test_a_plain_adapter_passes(tmp_path: Path) -> None:
    check_contents(write_adapter(tmp_path))


def test_the_shipped_adapter_passes() -> None:
    shipped = find_shipped(PACKAGED_MODEL)
    assert shipped
    check_contents(shipped)


def test_unused_options_of_peft_pass_with_empty_values(tmp_path: Path) -> None:
    check_contents(write_adapter(tmp_path, {"eva_config": None, "loftq_config": {}, "method_of_tomorrow": False}))


def test_the_class_of_a_model_of_transformers_may_be_named(tmp_path: Path) -> None:
    mapping = {"base_model_class": "LlamaForCausalLM", "parent_library": "transformers.models.llama.modeling_llama"}
    check_contents(write_adapter(tmp_path, {"auto_mapping": mapping}))


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"auto_mapping": {"parent_library": "evil", "base_model_class": "Model"}}, "auto_mapping"),
        ({"megatron_config": {"a": 1}, "megatron_core": "evil"}, "megatron_config, megatron_core"),
        ({"method_of_tomorrow": {"a": 1}}, "method_of_tomorrow"),
        ({"peft_type": "IA3"}, "peft_type"),
    ],
)
def test_a_configuration_with_keys_outside_the_list_is_refused(
    tmp_path: Path, config: dict[str, Any], named: str
) -> None:
    with pytest.raises(AdapterError, match=f"sets {named}, which aftercall does not load"):
        check_contents(write_adapter(tmp_path, config))


@pytest.mark.parametrize(
    "change", [{"r": 0}, {"r": -1}, {"r": "8"}, {"r": True}, {"r": 10**400}, {"rank_pattern": {"r": 0}}]
)
def test_a_rank_that_no_layer_has_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(AdapterError, match="expected a rank of 1 or more"):
        check_contents(write_adapter(tmp_path, change))


@pytest.mark.parametrize("change", [{"lora_alpha": float("nan")}, {"lora_alpha": 10**400}, {"lora_alpha": "8"}])
def test_a_scaling_that_is_not_a_finite_number_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(AdapterError, match="expected a finite number"):
        check_contents(write_adapter(tmp_path, change))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["f4", "f2"])
def test_weights_that_are_not_finite_are_refused(tmp_path: Path, dtype: str, value: float) -> None:
    weights = np.ones((4, 8), dtype)
    weights[3, 7] = value
    with pytest.raises(AdapterError, match="not finite, in lora_A"):
        check_contents(write_adapter(tmp_path, weights=weights))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_bfloat16_weights_that_are_not_finite_are_refused(tmp_path: Path, value: float) -> None:
    import torch
    from safetensors.torch import save_file as save_tensors

    folder = write_adapter(tmp_path)
    weights = torch.full((4, 8), 3.0e38, dtype=torch.bfloat16)
    save_tensors({"lora_A": weights}, folder / WEIGHTS_FILE)
    check_contents(folder)
    weights[0, 0] = value
    save_tensors({"lora_A": weights}, folder / WEIGHTS_FILE)
    with pytest.raises(AdapterError, match="not finite"):
        check_contents(folder)


@pytest.mark.parametrize("dtype", ["i1", "u1", "i8", "f8"])
def test_weights_of_another_type_are_refused(tmp_path: Path, dtype: str) -> None:
    with pytest.raises(AdapterError, match="expected F32, F16, BF16"):
        check_contents(write_adapter(tmp_path, weights=np.ones((4, 8), dtype)))


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    folder = write_adapter(tmp_path)
    (folder / WEIGHTS_FILE).write_bytes((folder / WEIGHTS_FILE).read_bytes()[:-1])
    with pytest.raises(AdapterError, match="cannot be read"):
        check_contents(folder)


def test_the_allowed_keys_are_keys_of_peft() -> None:
    from peft import LoraConfig

    assert set(LoraConfig.__dataclass_fields__) >= ALLOWED_KEYS


def test_the_checks_need_no_torch() -> None:
    code = (
        "import sys; from adapters import list_shipped; from worker.adapters.contents import check_contents;"
        "list(map(check_contents, list_shipped())); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    "change",
    [
        {"attn_implementation": "somebody/kernels"},
        {"_attn_implementation": "paged|somebody/kernels:attention"},
        {"text_config": {"_attn_implementation_internal": "somebody/kernels"}},
        {"attn_implementation": {"text_config": "somebody/kernels"}},
        {"experts_implementation": "somebody/kernels"},
    ],
)
def test_a_base_model_that_would_fetch_code_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    (tmp_path / "model.safetensors").touch()
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama", "attn_implementation": "sdpa"} | change))
    with pytest.raises(ModelError, match="would run code from elsewhere"):
        find_base_model(str(tmp_path), tmp_path)


@pytest.mark.parametrize(("text", "cause"), [("{", "is not JSON"), ("[]", "does not hold a JSON object")])
def test_a_damaged_base_model_configuration_is_refused(tmp_path: Path, text: str, cause: str) -> None:
    (tmp_path / "model.safetensors").touch()
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ModelError, match=cause):
        find_base_model(str(tmp_path), tmp_path)
