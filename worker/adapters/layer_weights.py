"""Writes an adapter into a model that an engine is using.

`stage` does everything that can be done while the engine works and returns a `WeightSwap`: the part that has to wait
until the engine is idle.

On a GPU, weights keep their place in memory, because captured CUDA graphs hold their addresses. `stage` does not touch
the device at all: the engine may be capturing a graph, and any other work on the device would break the capture.

A merged adapter is never subtracted again, because its rounding would stay behind. Each layer that was ever written to
keeps its original weight on the host, and every adapter is added to that original.
"""

from collections.abc import Callable, Mapping, MutableMapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from aftercall.errors import AdapterError
from worker.adapters.lora import LoraPair, NotSwappableError, read_pairs
from worker.engine.layers.packed_linear import PackedLinear, pack_weight

#: Changes the weights of a model. Call it only while the engine is idle.
WeightSwap = Callable[[], None]


class MergedLayers:
    """The linear layers of a model that an adapter is merged into.

    `originals` holds the unmerged weight of every layer that was written to so far.
    """

    def __init__(self, model: Any, originals: MutableMapping[str, torch.Tensor]) -> None:
        self._model = model
        self._originals = originals

    def stage(self, pairs: Mapping[str, LoraPair]) -> WeightSwap:
        """Prepare every layer with a pair to hold original plus pair, and every other layer to hold its original.

        Raises AdapterError if a pair has no layer of its shape, NotSwappableError if that layer is not a plain linear
        one.
        """
        find_layers(self._model, pairs)
        stage = self._merge if self._model.device.type == "cpu" else self._defer
        return partial(_apply_all, [stage(name, pairs.get(name)) for name in self._originals.keys() | pairs.keys()])

    def _merge(self, name: str, pair: LoraPair | None) -> WeightSwap:
        """On the CPU: merge now. No graph holds addresses there, so the swap only sets a pointer."""
        linear, module = _find_linear(self._model, name), self._model.get_submodule(name)
        original = self._originals.setdefault(name, linear.weight.data)
        merged = original + pair.delta(original.device).to(original.dtype) if pair else original.clone()
        packed = pack_weight(merged) if isinstance(module, PackedLinear) else None
        return partial(_point_to, module, linear, merged, packed)

    def _defer(self, name: str, pair: LoraPair | None) -> WeightSwap:
        """On a GPU: leave everything to the swap."""
        return partial(self._overwrite, name, _find_linear(self._model, name).weight, pair)

    def _overwrite(self, name: str, weight: torch.Tensor, pair: LoraPair | None) -> None:
        if name not in self._originals:
            self._originals[name] = copy_to_host(weight)
        weight.copy_(self._originals[name], non_blocking=True)
        if pair:
            weight += pair.delta(weight.device).to(weight.dtype)


class AttachedLayers:
    """Quantized layers with an attached adapter, which another one of the same layers and ranks can replace."""

    def __init__(self, model: Any) -> None:
        #: peft's layers, by their names in an adapter's file; empty if no adapter is attached.
        self._layers: dict[str, Any] = {
            name.removeprefix("base_model.model."): module
            for name, module in model.named_modules()
            if hasattr(module, "lora_A")
        }

    def stage(self, pairs: Mapping[str, LoraPair]) -> WeightSwap:
        """Prepare to copy the pairs over the attached ones.

        Raises NotSwappableError if the adapter has other layers, ranks or scaling than the attached one.
        """
        staged = {name: _shapes_and_scale(pair) for name, pair in pairs.items()}
        if not self._layers or staged != {
            name: _shapes_and_scale(_pair_of(layer)) for name, layer in self._layers.items()
        }:
            raise NotSwappableError(
                "only an adapter of the same layers, ranks and scaling can replace the one that is attached"
            )
        return partial(_apply_all, [partial(_copy_pair, self._layers[name], pair) for name, pair in pairs.items()])


def find_layers(model: Any, pairs: Mapping[str, LoraPair]) -> dict[str, nn.Linear]:
    """The layer of each pair, by name.

    Raises AdapterError if a pair has no layer of its shape, NotSwappableError if that layer is not a plain linear one.
    """
    layers = {name: _find_linear(model, name) for name in pairs}
    for name, pair in pairs.items():
        shape = layers[name].weight.shape
        if (pair.up.shape[0], pair.down.shape[1]) != shape:
            raise _misfit(f"{name} has the shape {tuple(shape)}")
    return layers


def copy_originals(model: Any, folder: Path) -> dict[str, torch.Tensor] | None:
    """Copy the weights that the adapter in `folder` will be merged into; None if it is not plain LoRA."""
    try:
        return {name: copy_to_host(_find_linear(model, name).weight) for name in read_pairs(folder)}
    except NotSwappableError:
        return None


def copy_to_host(weight: torch.Tensor) -> torch.Tensor:
    """Copy a weight to the host; pinned if it comes from a GPU, so that it travels back at full speed."""
    copy = weight.detach().to("cpu", copy=True)
    return copy.pin_memory() if weight.is_cuda else copy


def _find_linear(model: Any, name: str) -> nn.Linear:
    """The linear layer of that name, unwrapped if the engine has replaced it by a `PackedLinear`."""
    try:
        module = model.get_submodule(name)
    except AttributeError:
        raise _misfit(f"there is no {name}") from None
    linear = getattr(module, "linear", module)
    # Not isinstance: a quantized layer is a subclass that stores its weight in another form.
    if type(linear) is not nn.Linear:
        raise NotSwappableError(f"{name} is not a plain linear layer here")
    return linear


def _misfit(cause: str) -> AdapterError:
    return AdapterError(f"The adapter does not fit this model's layers: {cause}. Use the base model it was trained on.")


def _point_to(module: nn.Module, linear: nn.Linear, weight: torch.Tensor, packed: torch.Tensor | None) -> None:
    linear.weight.data = weight
    if isinstance(module, PackedLinear) and packed is not None:
        module.packed = packed


def _copy_pair(layer: Any, pair: LoraPair) -> None:
    """In place: the addresses stay, and graphs with them."""
    for matrix, live in ((pair.down, layer.lora_A["default"]), (pair.up, layer.lora_B["default"])):
        live.weight.copy_(matrix)
        if isinstance(live, PackedLinear):
            live.packed = pack_weight(live.weight)


def _apply_all(swaps: list[WeightSwap]) -> None:
    for swap in swaps:
        swap()


def _pair_of(layer: Any) -> LoraPair:
    """The adapter matrices that peft attached to a layer."""
    return LoraPair(layer.lora_A["default"].weight, layer.lora_B["default"].weight, layer.scaling["default"])


def _shapes_and_scale(pair: LoraPair) -> tuple[torch.Size, torch.Size, float]:
    """What two adapters must share to replace each other: graphs hold the shapes, the addresses and the scaling."""
    return pair.down.shape, pair.up.shape, pair.scaling
