"""The adapters that a model's engine can use in addition to the one in the weights."""

from collections.abc import Mapping
from typing import Any

import torch

from aftercall.errors import ModelError
from worker.engine.deltas import AdapterDeltas, Delta
from worker.engine.layers.compile import compile_layers
from worker.engine.layers.delta_hook import DeltaHooks


class LoadedAdapters:
    """Loads and drops adapters. Call it between two steps only."""

    def __init__(self, model: Any) -> None:
        self.deltas = AdapterDeltas()
        self._model = model
        self._hooks = DeltaHooks(model)
        #: Set once the model's layers are compiled.
        self.is_compiled = False

    def __contains__(self, name: str) -> bool:
        return name in self.deltas

    def load(self, name: str, deltas: Mapping[str, Delta]) -> None:
        """Have an adapter ready for the sequences that name it.

        Raises ModelError if it changes a layer that can't be changed for some tokens only.
        """
        layer = self._hooks.find_unsupported(deltas)
        if layer is not None:
            raise ModelError(f"{layer} can't be adapted for some conversations only")
        with torch.inference_mode():
            self.deltas.put(name, {layer: self._move(delta) for layer, delta in deltas.items()})
        self._update_hooks()

    def drop(self, name: str) -> None:
        """Forget an adapter that no sequence uses any more."""
        self.deltas.drop(name)
        self._update_hooks()

    def close(self) -> None:
        """Give the model back without hooks."""
        self._hooks.set_layers(())

    def _move(self, delta: Delta) -> Delta:
        device, dtype = self._model.device, self._model.dtype
        return Delta(delta.down.to(device, dtype).contiguous(), delta.up.to(device, dtype).contiguous())

    def _update_hooks(self) -> None:
        if not self.is_compiled:
            self._hooks.set_layers(self.deltas.layers)
        elif self._hooks.set_layers(self.deltas.layers | self._hooks.layers):
            # Compiled code does not look for hooks, so it is compiled anew when there is a new one; once there, a hook
            # stays. Captured steps are what they were: no adapter of these runs in them.
            torch.compiler.reset()
            compile_layers(self._model)
