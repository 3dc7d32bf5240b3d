"""Puts an adapter into a model at a start: merged into plain weights, or attached next to quantized ones.

Plain LoRA is merged without peft, to the same bits: importing peft takes seconds, and no ordinary start needs it.
"""

import warnings
from pathlib import Path
from typing import Any

import torch

from aftercall.errors import AdapterError
from worker.adapters.layer_weights import find_layers
from worker.adapters.lora import NotSwappableError, read_pairs


def merge_adapter(model: Any, folder: Path) -> Any:
    """`model` with the adapter merged into its weights, where it costs nothing while decoding.

    Not for 4-bit or 8-bit weights: the adapter would be lost in their rounding. Raises AdapterError if the adapter does
    not fit, or if its weights are not finite.
    """
    try:
        pairs = read_pairs(folder)
        layers = find_layers(model, pairs)
    except NotSwappableError:
        return _merge_with_peft(model, folder)
    with torch.no_grad():
        for name, pair in pairs.items():
            weight = layers[name].weight
            weight += pair.delta(weight.device).to(weight.dtype)
            if not weight.isfinite().all():
                raise _unmergeable(folder, f"{name} is not finite afterwards")
    return model


def attach_adapter(model: Any, folder: Path) -> Any:
    """`model` with the adapter attached, in the model's dtype. Raises AdapterError if it does not fit.

    peft keeps an adapter in float32, and would convert the whole batch back and forth around every layer.
    """
    adapted = _attach(model, folder)
    for name, weight in adapted.named_parameters():
        if "lora_" in name:
            weight.data = weight.data.to(model.dtype)
    return adapted


def _merge_with_peft(model: Any, folder: Path) -> Any:
    adapted = _attach(model, folder)
    try:
        return adapted.merge_and_unload(safe_merge=True)
    except ValueError as error:
        raise _unmergeable(folder, str(error)) from error


def _attach(model: Any, folder: Path) -> Any:
    from peft import PeftModel

    with warnings.catch_warnings():
        # peft asks newer transformers for an attribute by its former name.
        warnings.simplefilter("ignore", FutureWarning)
        try:
            return PeftModel.from_pretrained(model, str(folder))
        except (ValueError, RuntimeError, KeyError) as error:
            cause = str(error).strip().splitlines()[-1].strip()
            raise AdapterError(
                f"The adapter in {folder} does not fit this model's layers: {cause}. "
                "Use the base model it was trained on."
            ) from error


def _unmergeable(folder: Path, cause: str) -> AdapterError:
    return AdapterError(
        f"The adapter in {folder} cannot be merged: {cause}. If its training diverged, train it again at a lower "
        "learning rate."
    )
