"""Finds the linear layers of a model that LoRA is trained on.

Layers are found from the model rather than listed per family, since families name and fuse them differently: Phi-3 has
`qkv_proj` and `gate_up_proj`, GPT-NeoX `query_key_value`, GPT-2 `c_attn` as a transposed Conv1D.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn
from transformers.pytorch_utils import Conv1D

from aftercall.errors import SettingsError

#: Every linear layer but the output layer.
ALL_LINEAR = "all-linear"
#: The linear layers inside attention.
ATTENTION = "attention"

Targets = str | Sequence[str]


@dataclass(frozen=True, slots=True)
class FoundLayers:
    """The layers that a recipe's targets are in one model."""

    #: The shortest endings of module paths that match these layers and no others, as peft takes them.
    names: tuple[str, ...]
    num_layers: int
    #: All linear layers of the model but the output layer.
    num_linear: int
    #: Whether their weights are stored transposed, as in GPT-2's Conv1D.
    is_transposed: bool = False

    def __str__(self) -> str:
        return f"{self.num_layers} of {self.num_linear} linear layers: {', '.join(self.names)}"


def find_targets(model: nn.Module, targets: Targets) -> FoundLayers:
    """The layers of `model` that `targets` are: `all-linear`, `attention`, or names of layers.

    Raises SettingsError, with the names that the model has, if a target matches no linear layer.
    """
    linear = _find_linear(model)
    wanted = {targets} if isinstance(targets, str) else set(targets)
    if wanted == {ALL_LINEAR}:
        chosen = set(linear)
    elif wanted == {ATTENTION}:
        chosen = {path for path in linear if _is_in_attention(path)}
    else:
        chosen = {path for path in linear if any(_ends_with(path, name) for name in wanted)}
    unmatched = sorted(
        name for name in wanted - {ALL_LINEAR, ATTENTION} if not any(_ends_with(p, name) for p in linear)
    )
    if unmatched or not chosen:
        raise SettingsError(
            f"no linear layer of this model is called {', '.join(unmatched or wanted)}; it has "
            f"{', '.join(_shorten(linear, linear))}. Set the recipe's target_modules to some of these, to all-linear "
            "or to attention."
        )
    is_transposed = all(isinstance(linear[path], Conv1D) for path in chosen)
    return FoundLayers(_shorten(chosen, linear), len(chosen), len(linear), is_transposed)


def _find_linear(model: nn.Module) -> Mapping[str, nn.Module]:
    """The linear layers by their paths, quantized ones included, without the output layer."""
    output = getattr(model, "get_output_embeddings", lambda: None)()
    return {path: module for path, module in model.named_modules() if _is_linear(module) and module is not output}


def _is_linear(module: Any) -> bool:
    # bitsandbytes' 4-bit and 8-bit layers are subclasses of nn.Linear.
    return isinstance(module, nn.Linear | Conv1D)


def _is_in_attention(path: str) -> bool:
    return any("attn" in part or "attention" in part for part in path.lower().split(".")[:-1])


def _ends_with(path: str, name: str) -> bool:
    return path == name or path.endswith(f".{name}")


def _shorten(chosen: Mapping[str, object] | set[str], linear: Mapping[str, object]) -> tuple[str, ...]:
    """The endings of paths that match the chosen layers alone: in GPT-2, both attention and MLP have a `c_proj`."""
    others = set(linear) - set(chosen)
    names: set[str] = set()
    for path in chosen:
        parts = path.split(".")
        endings = [".".join(parts[-length:]) for length in range(1, len(parts) + 1)]
        names.add(next(ending for ending in endings if not any(_ends_with(other, ending) for other in others)))
    return tuple(sorted(names))
