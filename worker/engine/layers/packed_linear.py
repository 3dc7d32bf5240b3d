"""Linear layers for the CPU: weights laid out once as oneDNN's kernels read them.

PyTorch lays out a half-precision weight anew at every call, and multiplies float32 through MKL, which is slow on
other makers' processors: measured on an AMD EPYC, the packed float32 product is 2.3 times as fast as PyTorch's own.
"""

from typing import Any

import torch
from torch import nn


class PackedLinear(nn.Module):
    """Computes what an `nn.Linear` computes, from a packed copy of its weight."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.linear = linear
        #: Whoever changes the weight puts its new copy here.
        self.packed = pack_weight(linear.weight)

    @property
    def weight(self) -> torch.Tensor:
        """As it was, for code around the layer (adapters look at its type)."""
        return self.linear.weight

    @property
    def bias(self) -> torch.Tensor | None:
        """As it was; a compiled layer reads it for an adapter that adds to the output."""
        return self.linear.bias

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """`hidden @ weight.T + bias`."""
        output: torch.Tensor = torch.ops.mkldnn._linear_pointwise(hidden, self.packed, self.linear.bias, "none", [], "")
        return output


def pack_weight(weight: torch.Tensor) -> torch.Tensor:
    """A copy of `weight` in the layout of oneDNN's kernels."""
    packed: torch.Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), None)
    return packed


def pack_linears(model: Any) -> None:
    """Replace the linear layers of a model on the CPU by packed ones, where oneDNN has a kernel for their type."""
    if not _is_supported(model.dtype):
        return
    for parent, name, linear in _linears(model, nn.Linear):
        setattr(parent, name, PackedLinear(linear))


def unpack_linears(model: Any) -> None:
    """Undo `pack_linears`."""
    for parent, name, packed in _linears(model, PackedLinear):
        setattr(parent, name, packed.linear)


def _is_supported(dtype: torch.dtype) -> bool:
    if not torch._C._has_mkldnn:
        return False
    if dtype == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return dtype == torch.float32


def _linears(model: Any, kind: type[nn.Module]) -> list[tuple[nn.Module, str, Any]]:
    """Every child of exactly this class; a subclass (quantized, with an adapter) computes in its own way."""
    return [
        (parent, name, child)
        for parent in model.modules()
        for name, child in parent.named_children()
        if type(child) is kind
    ]
