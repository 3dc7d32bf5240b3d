"""Makes training steps faster without changing their results."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from worker.engine.layers.compile import compile_layers
from worker.engine.memory.kv_cache import free_bytes
from worker.loading.dequantize import fits


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """What a run may use. None of it changes a recipe's numbers beyond rounding."""

    #: One a GPU. A step takes the recipe's batch from each.
    num_processes: int = 1
    #: Keep 4-bit weights dequantized in memory if they fit.
    is_dequantizing: bool = True
    #: Compile the decoder layers: slow to start, then each step launches far fewer kernels.
    is_compiling: bool = False
    #: Memory that training may take on top of the loaded model; None: a share of what is free.
    max_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimizations:
    """Which optimizations were applied; the card lists them."""

    is_dequantized: bool
    is_compiled: bool


def optimize_layers(model: Any, speed: Speed) -> Optimizations:
    """Apply the optimizations to a peft model in place; returns those that were applied."""
    is_dequantized = speed.is_dequantizing and dequantize_layers(model)
    if speed.is_compiling:
        # The first layer's input needs no gradient otherwise, so it would be compiled separately from the others.
        model.enable_input_require_grads()
        compile_layers(model)
    return Optimizations(is_dequantized=is_dequantized, is_compiled=speed.is_compiling)


class DequantizedLinear(nn.Module):
    """Computes the same as bitsandbytes' Linear4bit, with weights dequantized once instead of in every step."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = None if bias is None else nn.Parameter(bias.to(weight.dtype), requires_grad=False)

    def forward(self, hidden: Tensor) -> Tensor:
        """Compute in the weights' dtype regardless of autocast and return the input's dtype, as bitsandbytes does."""
        with torch.autocast(hidden.device.type, enabled=False):
            return linear(hidden.to(self.weight.dtype), self.weight, self.bias).to(hidden.dtype)


def dequantize_layers(model: nn.Module) -> bool:
    """Replace a model's 4-bit layers with dequantized ones in place; False if there are none or they do not fit."""
    if not getattr(model, "is_loaded_in_4bit", False):
        return False
    layers = _find_quantized(model)
    if not _fits(layers):
        return False
    for parent, name, layer in layers:
        setattr(parent, name, _dequantize(layer))
    return True


def _find_quantized(model: nn.Module) -> list[tuple[nn.Module, str, Any]]:
    from bitsandbytes.nn import Linear4bit

    return [
        (parent, name, child)
        for parent in model.modules()
        for name, child in parent.named_children()
        # peft's 4-bit layers contain a Linear4bit but are not one themselves.
        if isinstance(child, Linear4bit)
    ]


def _fits(layers: list[tuple[nn.Module, str, Any]]) -> bool:
    device = layers[0][2].weight.device
    if device.type != "cuda":
        return True
    num_bytes = sum(2 * layer.in_features * layer.out_features for _, _, layer in layers)
    return fits(num_bytes, free_bytes(device))


def _dequantize(layer: Any) -> DequantizedLinear:
    from bitsandbytes.functional import dequantize_4bit

    weight = dequantize_4bit(layer.weight.data, layer.weight.quant_state)
    return DequantizedLinear(weight.to(layer.compute_dtype or weight.dtype), layer.bias)
