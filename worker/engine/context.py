"""What the layers of a step need to know: where keys go, which ones a query sees, which adapter a token belongs to.

The runner sets it around each forward pass. It travels beside the model, not through it, so that transformers'
models stay as they are and a compiled layer sees one opaque call.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import local

import torch

from worker.engine.attention.base import AttentionBackend, DecodeLayout, Heads, PrefillLayout
from worker.engine.deltas import Run
from worker.engine.memory.kv_cache import LayerCache
from worker.engine.unsupported import unsupported


@dataclass(slots=True)
class StepContext:
    """One forward pass as its attention calls see it."""

    backend: AttentionBackend
    layers: list[LayerCache]
    layout: PrefillLayout | DecodeLayout
    #: Tokens that belong to an adapter other than the one in the weights.
    runs: tuple[Run, ...] = ()
    #: Attention calls so far: the calls come in the order of the layers. A compiled layer is one graph for all
    #: layers, so it cannot carry its own index.
    num_calls: int = field(default=0, init=False)

    def attend(self, heads: Heads, scale: float) -> torch.Tensor:
        """Store keys and values and attend to all that each query may see."""
        if self.num_calls == len(self.layers):
            raise unsupported(f"it makes more attention calls than it has layers, which are {len(self.layers)}")
        layer = self.layers[self.num_calls]
        self.num_calls += 1
        _, num_heads, _, head_dim = layer.keys.shape
        if heads.key.shape[1:] != (num_heads, head_dim) or heads.value.shape[1:] != (num_heads, head_dim):
            # A kernel would write beside its pages.
            raise unsupported(
                f"its keys are {_describe(heads.key)} and its values {_describe(heads.value)}, where its configuration "
                f"promises {num_heads} heads of {head_dim}"
            )
        if isinstance(self.layout, PrefillLayout):
            return self.backend.prefill(layer, heads, self.layout, scale)
        return self.backend.decode(layer, heads, self.layout, scale)


def _describe(heads: torch.Tensor) -> str:
    return f"{heads.shape[1]} heads of {heads.shape[2]}"


_current = local()


@contextmanager
def step_context(context: StepContext) -> Iterator[StepContext]:
    """Make `context` the one that attention calls of this thread see."""
    _current.context = context
    try:
        yield context
    finally:
        del _current.context


def current_context() -> StepContext:
    """The context of the forward pass that runs in this thread."""
    context: StepContext = _current.context
    return context
