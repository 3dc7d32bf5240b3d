"""What an attention backend is, and which one a device gets."""

from typing import Protocol

import torch

from worker.engine.cache import LayerCache
from worker.engine.context import DecodeLayout, Heads, PrefillLayout


class AttentionBackend(Protocol):
    """Stores keys and values in pages and attends to them. Returns `[tokens, heads, head_dim]`."""

    #: Whether decode reads its layout from tensors alone, as a CUDA graph needs.
    is_capturable: bool

    def prefill(self, layer: LayerCache, heads: Heads, layout: PrefillLayout, scale: float) -> torch.Tensor:
        """Causal attention inside each prompt."""
        ...

    def decode(self, layer: LayerCache, heads: Heads, layout: DecodeLayout, scale: float) -> torch.Tensor:
        """One query a sequence over all its tokens."""
        ...


def choose_backend(device: torch.device, dtype: torch.dtype) -> AttentionBackend:
    """Paged kernels where flash attention runs (sm_80 and half precision), PyTorch's own attention elsewhere."""
    if device.type == "cuda" and dtype.itemsize == 2 and torch.cuda.get_device_capability(device) >= (8, 0):
        from worker.engine.attention.paged import PagedAttention

        return PagedAttention()
    from worker.engine.attention.whole import WholeSequenceAttention

    return WholeSequenceAttention()
