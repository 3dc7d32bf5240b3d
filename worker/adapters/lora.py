"""Plain LoRA: the pairs of matrices in an adapter's folder, and what each adds to a weight.

What peft merges at the start and what is merged here at an exchange are the same numbers: the same products in the
same order. Whatever goes beyond plain LoRA is left to peft. Knows files and tensors; knows no model.
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

#: What may be said in a plain adapter's configuration: it is used here, or concerns training alone.
_PLAIN_KEYS = frozenset(
    {"base_model_name_or_path", "exclude_modules", "inference_mode", "init_lora_weights", "layers_pattern"}
    | {"layers_to_transform", "lora_alpha", "lora_dropout", "megatron_core", "peft_type", "peft_version"}
    | {"qalora_group_size", "r", "revision", "target_modules", "task_type", "use_rslora"}
)

_PREFIX = "base_model.model."


class NotExchangeableError(Exception):
    """This adapter cannot be written into this model while it runs; the sentence says why."""


@dataclass(frozen=True, slots=True, eq=False)
class LoraPair:
    """What an adapter has for one linear layer: `down` is peft's A, `up` its B."""

    down: torch.Tensor
    up: torch.Tensor
    scaling: float

    def delta(self, device: torch.device) -> torch.Tensor:
        """What is added to the layer's weight, in float32 as peft computes it."""
        return (self.up.to(device).float() @ self.down.to(device).float()) * self.scaling


def read_pairs(folder: Path) -> dict[str, LoraPair]:
    """The pairs by the name of their layer, on the host.

    Raises NotExchangeableError if there is more to the adapter; AdapterError if its files cannot be read.
    """
    config: dict[str, Any] = json.loads((folder / CONFIG_FILE).read_bytes())
    _check_plain(config)
    try:
        weights = load_file(folder / WEIGHTS_FILE)
    except (OSError, SafetensorError) as error:
        raise AdapterError(f"{folder / WEIGHTS_FILE} cannot be read: {error}. Copy the folder again.") from error
    if not all(tensor.isfinite().all() for tensor in weights.values()):
        raise AdapterError(f"{folder / WEIGHTS_FILE} holds numbers that are not finite. Train the adapter again.")
    return _pair(weights, config)


def _check_plain(config: Mapping[str, Any]) -> None:
    special = {key for key, value in config.items() if value and key not in _PLAIN_KEYS}
    if config.get("bias") == "none":
        special.discard("bias")
    # Named ways to begin, such as PiSSA, begin by changing the base model.
    if isinstance(config.get("init_lora_weights"), str):
        special.add("init_lora_weights")
    if special:
        raise NotExchangeableError(f"its configuration sets {', '.join(sorted(special))}")


def _pair(weights: Mapping[str, torch.Tensor], config: Mapping[str, Any]) -> dict[str, LoraPair]:
    names = {key.removeprefix(_PREFIX).rpartition(".lora_")[0] for key in weights}
    keys = {(name, side): f"{_PREFIX}{name}.lora_{side}.weight" for name in names for side in "AB"}
    if set(keys.values()) != set(weights):
        raise NotExchangeableError("it holds weights other than pairs of matrices")
    return {
        name: LoraPair(weights[keys[name, "A"]], weights[keys[name, "B"]], _scaling(config)) for name in sorted(names)
    }


def _scaling(config: Mapping[str, Any]) -> float:
    rank: int = config["r"]
    alpha: float = config["lora_alpha"]
    return alpha / (rank**0.5 if config.get("use_rslora") else rank)
