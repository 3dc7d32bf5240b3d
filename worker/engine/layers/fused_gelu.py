"""Puts an activation into the matrix product before it, where a model has them side by side.

A GPU's matrix library can apply GELU to each tile that it has just computed; as a step of its own it reads and
writes the widest tensor of the layer once more.
"""

from typing import Any

import torch
from torch import nn
from transformers.activations import ACT2FN

_TANH_GELUS = tuple({type(ACT2FN[name]) for name in ("gelu_new", "gelu_fast", "gelu_pytorch_tanh")})


class GeluLinear(nn.Module):
    """`gelu(linear(x))` in one product."""

    def __init__(self, linear: nn.Linear, activation: nn.Module) -> None:
        super().__init__()
        self.linear = linear
        self.activation = activation

    @property
    def weight(self) -> torch.Tensor:
        """As it was, for code around the layer (an adapter is exchanged by writing into it)."""
        return self.linear.weight

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """The activated product."""
        if self.linear._forward_hooks:
            # An adapter adds to the product before the activation.
            activated: torch.Tensor = self.activation(self.linear(hidden))
            return activated
        rows = hidden.view(-1, hidden.shape[-1])
        output = torch._addmm_activation(self.linear.bias, rows, self.linear.weight.t(), use_gelu=True)
        return output.view(*hidden.shape[:-1], -1)


def fuse_activations(model: Any) -> None:
    """Fuse what Phi and its relatives call `fc1` and `activation_fn`; other models stay as they are."""
    for module in list(model.modules()):
        linear, activation = getattr(module, "fc1", None), getattr(module, "activation_fn", None)
        # A subclass (quantized, with an adapter) computes in its own way.
        if type(linear) is nn.Linear and linear.bias is not None and isinstance(activation, _TANH_GELUS):
            module.fc1 = GeluLinear(linear, activation)
            module.activation_fn = nn.Identity()


def unfuse_activations(model: Any) -> None:
    """Undo `fuse_activations`."""
    for module in list(model.modules()):
        fused = getattr(module, "fc1", None)
        if isinstance(fused, GeluLinear):
            module.fc1, module.activation_fn = fused.linear, fused.activation
