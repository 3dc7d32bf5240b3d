"""Plain LoRA: the pairs of matrices in an adapter's folder, and what each pair adds to a weight.

A hot swap merges exactly what peft merges at a start: the same products in the same order, so the weights are equal bit
for bit. Adapters that go beyond plain LoRA are left to peft and need a restart.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from aftercall.errors import AdapterError
from worker.adapters.manifest import CONFIG_FILE, WEIGHTS_FILE

#: Keys that a plain LoRA configuration may set: this module uses them, or only training does.
_PLAIN_KEYS = frozenset(
    {"base_model_name_or_path", "exclude_modules", "inference_mode", "init_lora_weights", "layers_pattern"}
    | {"layers_to_transform", "lora_alpha", "lora_dropout", "megatron_core", "peft_type", "peft_version"}
    | {"qalora_group_size", "r", "revision", "target_modules", "task_type", "use_rslora"}
)

_PREFIX = "base_model.model."


class NotSwappableError(Exception):
    """The adapter cannot be written into the running model; a fresh process can load it. The message says why."""


@dataclass(frozen=True, slots=True, eq=False)
class LoraPair:
    """The two matrices that an adapter has for one linear layer."""

    #: peft's A: [rank, in_features].
    down: torch.Tensor
    #: peft's B: [out_features, rank].
    up: torch.Tensor
    scaling: float

    def delta(self, device: torch.device) -> torch.Tensor:
        """What is added to the layer's weight, [out_features, in_features]; in float32, as peft computes it."""
        return (self.up.to(device).float() @ self.down.to(device).float()) * self.scaling


def read_pairs(folder: Path) -> dict[str, LoraPair]:
    """Read the pairs of an adapter, checked by `check_contents`, to the host, by the name of their layer.

    Raises NotSwappableError if the adapter is not plain LoRA; AdapterError if its files cannot be read.
    """
    config: dict[str, Any] = json.loads((folder / CONFIG_FILE).read_bytes())
    _check_plain(config)
    try:
        weights = load_file(folder / WEIGHTS_FILE)
    except (OSError, SafetensorError) as error:
        raise AdapterError(f"{folder / WEIGHTS_FILE} cannot be read: {error}. Copy the folder again.") from error
    return _pair(weights, config)


def _check_plain(config: Mapping[str, Any]) -> None:
    special = {key for key, value in config.items() if value and key not in _PLAIN_KEYS}
    if config.get("bias") == "none":
        special.discard("bias")
    # Named initializations, such as PiSSA, change the base model's weights too.
    if isinstance(config.get("init_lora_weights"), str):
        special.add("init_lora_weights")
    if special:
        raise NotSwappableError(f"its configuration sets {', '.join(sorted(special))}")


def _pair(weights: Mapping[str, torch.Tensor], config: Mapping[str, Any]) -> dict[str, LoraPair]:
    names = {key.removeprefix(_PREFIX).rpartition(".lora_")[0] for key in weights}
    keys = {(name, side): f"{_PREFIX}{name}.lora_{side}.weight" for name in names for side in "AB"}
    if set(keys.values()) != set(weights):
        raise NotSwappableError("it holds weights other than pairs of matrices")
    return {
        name: LoraPair(weights[keys[name, "A"]], weights[keys[name, "B"]], _scaling(config)) for name in sorted(names)
    }


def _scaling(config: Mapping[str, Any]) -> float:
    rank: int = config["r"]
    alpha: float = config["lora_alpha"]
    return alpha / (rank**0.5 if config.get("use_rslora") else rank)
