"""Hooks that let loaded adapters add to the outputs of a model's linear layers.

The hooks are there only while an adapter is loaded, so without one a step is what it was.
"""

from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from worker.engine.context import current_context
from worker.engine.deltas import Delta, add_deltas
from worker.engine.layers.compile import decoder_layers
from worker.engine.layers.fused_gelu import GeluLinear
from worker.engine.layers.packed_linear import PackedLinear


@torch.library.custom_op("aftercall::add_deltas", mutates_args=("output",))
def _add_deltas(output: torch.Tensor, hidden: torch.Tensor, layer: str) -> None:
    """Opaque to the compiler: which tokens belong to which adapter is different in every step."""
    add_deltas(layer, hidden, output, current_context().runs)


class DeltaHooks:
    """The hooks on one model's layers."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._handles: dict[str, RemovableHandle] = {}

    def find_unsupported(self, deltas: Mapping[str, Delta]) -> str | None:
        """The first layer that takes no hook or has another shape than its delta; None if all do."""
        layers = set(decoder_layers(self._model).modules())
        for name, delta in sorted(deltas.items()):
            module = self._find(name)
            # Experts see only the tokens that are routed to them, so a slice of the step means nothing there.
            if module not in layers or ".experts." in name or _shape(module) != (len(delta.down), delta.up.shape[1]):
                return name
        return None

    @property
    def layers(self) -> set[str]:
        """The layers that have hooks."""
        return set(self._handles)

    def set_layers(self, names: Collection[str]) -> bool:
        """Have hooks on exactly these layers. Returns whether anything changed."""
        before = self.layers
        for name in before.difference(names):
            self._handles.pop(name).remove()
        for name in set(names).difference(before):
            module = self._find(name)
            assert module is not None, "checked before"  # noqa: S101
            self._handles[name] = module.register_forward_hook(_make_hook(name))
        return before != set(names)

    def _find(self, name: str) -> nn.Module | None:
        # peft puts its own name in front of the model's, where it attached an adapter.
        for path in (name, f"base_model.model.{name}"):
            try:
                module: nn.Module = self._model.get_submodule(path)
            except AttributeError:
                continue
            # Inside of a fused layer: an adapter adds before the activation.
            return module.linear if isinstance(module, GeluLinear) else module
        return None


def _shape(module: Any) -> tuple[int, int] | None:
    """Input and output features of a linear layer, of whichever kind."""
    linear = module.linear if isinstance(module, PackedLinear) else module
    return (linear.in_features, linear.out_features) if hasattr(linear, "in_features") else None


def _make_hook(name: str) -> Any:
    def hook(module: nn.Module, args: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        if torch.compiler.is_compiling():
            _add_deltas(output, args[0], name)
        elif runs := current_context().runs:
            add_deltas(name, args[0], output, runs)

    return hook
