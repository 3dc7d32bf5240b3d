"""A plain adapter is merged without peft, to the bits that peft would have come to."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.random_adapter import ATTENTION, make_adapter
from worker.adapters.manifest import CONFIG_FILE
from worker.adapters.merge import _merge_with_peft, merge_adapter
from worker.loading.base_model import find_base_model
from worker.loading.load import ModelSettings, load_model


@pytest.fixture
def adapter(tiny_model_dir: Path, tmp_path: Path) -> Path:
    base = find_base_model(str(tiny_model_dir), tmp_path)
    return make_adapter(tmp_path, base, 1, rank=8, targets=ATTENTION | {"gate_proj", "down_proj"}, size=0.5)


def settings(tiny_model_dir: Path, tmp_path: Path, dtype: Any, adapter: Path | None = None) -> ModelSettings:
    return ModelSettings(str(tiny_model_dir), "none", dtype, adapter, "cpu", tmp_path)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_merging_comes_to_the_bits_of_peft(tiny_model_dir: Path, tmp_path: Path, adapter: Path, dtype: str) -> None:
    ours, theirs = (load_model(settings(tiny_model_dir, tmp_path, dtype)).model for _ in range(2))
    before = {name: weight.clone() for name, weight in ours.state_dict().items()}
    ours, theirs = merge_adapter(ours, adapter), _merge_with_peft(theirs, adapter)
    merged = ours.state_dict()
    assert sum(not torch.equal(merged[name], weight) for name, weight in before.items()) == 12
    for name, weight in theirs.state_dict().items():
        assert torch.equal(merged[name], weight), name


def test_an_ordinary_start_does_not_import_peft(
    tiny_model_dir: Path, tmp_path: Path, adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes a second on a fast disk and five on a slow one."""
    monkeypatch.setitem(sys.modules, "peft", None)
    loaded = load_model(settings(tiny_model_dir, tmp_path, "float32", adapter))
    assert loaded.provenance.is_adapter_merged


def test_what_goes_beyond_plain_lora_is_left_to_peft(tiny_model_dir: Path, tmp_path: Path, adapter: Path) -> None:
    config = json.loads((adapter / CONFIG_FILE).read_text())
    plain = merge_adapter(load_model(settings(tiny_model_dir, tmp_path, "float32")).model, adapter).state_dict()
    (adapter / CONFIG_FILE).write_text(json.dumps(config | {"alpha_pattern": {"q_proj": 64}}))
    special = merge_adapter(load_model(settings(tiny_model_dir, tmp_path, "float32")).model, adapter).state_dict()
    differing = {name for name, weight in plain.items() if not torch.equal(weight, special[name])}
    assert differing == {f"model.layers.{layer}.self_attn.q_proj.weight" for layer in range(2)}
