"""Compiles a model layer by layer: one graph serves all layers, so start-up pays for one of them."""

import os
from pathlib import Path
from typing import Any

from torch import nn


def keep_compiled(folder: Path) -> None:
    """Let this process keep its compiled kernels in `folder`, and find those of processes before.

    The user's own choice of a folder stands.
    """
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder.resolve() / "inductor"))
    os.environ.setdefault("TRITON_CACHE_DIR", str(folder.resolve() / "triton"))


def decoder_layers(model: Any) -> nn.ModuleList:
    """The layers of `model`, which GPT-2 and its relatives call `h`; none of a model that calls them otherwise."""
    decoder = model.get_decoder()
    layers: nn.ModuleList = getattr(decoder, "layers", None) or getattr(decoder, "h", None) or nn.ModuleList()
    return layers


def compile_layers(model: Any) -> None:
    """Compile every decoder layer of `model` in place, for any number of tokens."""
    for layer in decoder_layers(model):
        layer.compile(dynamic=True)


def restore_layers(model: Any) -> None:
    """Undo `compile_layers`: other callers' caches would recompile the layers over and over."""
    for layer in decoder_layers(model):
        # The only way back that torch leaves.
        layer._compiled_call_impl = None
