"""Compiles a model layer by layer: one graph serves all layers, so start-up pays for one of them."""

from typing import Any


def compile_layers(model: Any) -> None:
    """Compile every decoder layer of `model` in place, for any number of tokens."""
    for layer in model.get_decoder().layers:
        layer.compile(dynamic=True)


def restore_layers(model: Any) -> None:
    """Undo `compile_layers`: other callers' caches would recompile the layers over and over."""
    for layer in model.get_decoder().layers:
        # The only way back that torch leaves.
        layer._compiled_call_impl = None
