"""Writes an adapter into a model while an engine holds the model: staged beside its work, then exchanged at once.

On a GPU weights stay where they are in memory, since captured graphs hold their addresses; nothing there is touched
before the exchange, as a graph may be in the making. A merged adapter is never subtracted again, which would leave its
rounding behind: each layer that was ever written to keeps its original on the host, and every adapter is added to that.
Knows layers and pairs.
"""

from collections.abc import Callable, Mapping, MutableMapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from aftercall.errors import AdapterError
from worker.adapters.lora import LoraPair, NotExchangeableError, read_pairs
from worker.engine.layers.packed_linear import PackedLinear, pack_weight

#: What is left to do when the engine has nothing to do.
Exchange = Callable[[], None]


class MergedLayers:
    """Plain weights that take the adapter into themselves."""

    def __init__(self, model: Any, originals: MutableMapping[str, torch.Tensor]) -> None:
        self._model = model
        self._originals = originals

    def stage(self, pairs: Mapping[str, LoraPair]) -> Exchange:
        """Original plus pair for every layer that has one, the original alone for the others.

        Raises AdapterError where a pair has no layer of its shape, NotExchangeableError where that is of another kind.
        """
        for name, pair in pairs.items():
            shape = _find_linear(self._model, name).weight.shape
            if (pair.up.shape[0], pair.down.shape[1]) != shape:
                raise _misfit(f"{name} has the shape {tuple(shape)}")
        stage = self._merge if self._model.device.type == "cpu" else self._plan
        return partial(_do_all, [stage(name, pairs.get(name)) for name in self._originals.keys() | pairs.keys()])

    def _merge(self, name: str, pair: LoraPair | None) -> Exchange:
        """On the CPU: all but the change of pointers, as nobody holds addresses there."""
        linear, module = _find_linear(self._model, name), self._model.get_submodule(name)
        original = self._originals.setdefault(name, linear.weight.data)
        merged = original + pair.delta(original.device).to(original.dtype) if pair else original.clone()
        packed = pack_weight(merged) if isinstance(module, PackedLinear) else None
        return partial(_point_to, module, linear, merged, packed)

    def _plan(self, name: str, pair: LoraPair | None) -> Exchange:
        """On a GPU: everything is left."""
        return partial(self._overwrite, name, _find_linear(self._model, name).weight, pair)

    def _overwrite(self, name: str, weight: torch.Tensor, pair: LoraPair | None) -> None:
        if name not in self._originals:
            self._originals[name] = copy_to_host(weight)
        weight.copy_(self._originals[name], non_blocking=True)
        if pair:
            weight += pair.delta(weight.device).to(weight.dtype)


class AttachedLayers:
    """Quantized weights beside which the adapter stays: another one of the same ranks and layers takes its place."""

    def __init__(self, model: Any) -> None:
        #: peft's layers by the names that an adapter's file has for them; none where none is attached.
        self._layers: dict[str, Any] = {
            name.removeprefix("base_model.model."): module
            for name, module in model.named_modules()
            if hasattr(module, "lora_A")
        }

    def stage(self, pairs: Mapping[str, LoraPair]) -> Exchange:
        """The pairs where those before were.

        Raises NotExchangeableError if the adapter differs in more than numbers from the one that is there.
        """
        staged = {name: _shapes_and_scale(pair) for name, pair in pairs.items()}
        if not self._layers or staged != {
            name: _shapes_and_scale(_pair_of(layer)) for name, layer in self._layers.items()
        }:
            raise NotExchangeableError("in the place of this one only one of the same layers, ranks and scaling fits")
        return partial(_do_all, [partial(_put, self._layers[name], pair) for name, pair in pairs.items()])


def copy_originals(model: Any, folder: Path) -> dict[str, torch.Tensor] | None:
    """The weights that the adapter in `folder` is about to be merged into; None if it will be there for good."""
    try:
        return {name: copy_to_host(_find_linear(model, name).weight) for name in read_pairs(folder)}
    except NotExchangeableError:
        return None


def copy_to_host(weight: torch.Tensor) -> torch.Tensor:
    """A copy that does not change with the weight, and that a GPU can fetch at full speed."""
    copy = weight.detach().to("cpu", copy=True)
    return copy.pin_memory() if weight.is_cuda else copy


def _find_linear(model: Any, name: str) -> nn.Linear:
    """The layer of that name, or the one inside what the engine has put in its place."""
    try:
        module = model.get_submodule(name)
    except AttributeError:
        raise _misfit(f"there is no {name}") from None
    linear = getattr(module, "linear", module)
    # A subclass, or a rounded one, stores its weight in a way of its own.
    if type(linear) is not nn.Linear:
        raise NotExchangeableError(f"{name} is no plain linear layer here")
    return linear


def _misfit(cause: str) -> AdapterError:
    return AdapterError(f"The adapter does not fit this model's layers: {cause}. Use the base model it was trained on.")


def _point_to(module: nn.Module, linear: nn.Linear, weight: torch.Tensor, packed: torch.Tensor | None) -> None:
    linear.weight.data = weight
    if isinstance(module, PackedLinear) and packed is not None:
        module.packed = packed


def _put(layer: Any, pair: LoraPair) -> None:
    for matrix, live in ((pair.down, layer.lora_A["default"]), (pair.up, layer.lora_B["default"])):
        live.weight.copy_(matrix)
        if isinstance(live, PackedLinear):
            live.packed = pack_weight(live.weight)


def _do_all(exchanges: list[Exchange]) -> None:
    for exchange in exchanges:
        exchange()


def _pair_of(layer: Any) -> LoraPair:
    """What peft holds beside a layer."""
    return LoraPair(layer.lora_A["default"].weight, layer.lora_B["default"].weight, layer.scaling["default"])


def _shapes_and_scale(pair: LoraPair) -> tuple[torch.Size, torch.Size, float]:
    """What has to agree: graphs hold the addresses and the scaling."""
    return pair.down.shape, pair.up.shape, pair.scaling
