"""What an attention backend is, and which one a device gets."""

from typing import Literal, Protocol

import torch

from worker.engine.cache import LayerCache
from worker.engine.context import DecodeLayout, Heads, PrefillLayout

#: Paged kernels, pages copied together for PyTorch, pages of whole sequences; or what suits the device.
Backend = Literal["auto", "paged", "gathered", "whole"]


class AttentionBackend(Protocol):
    """Stores keys and values in pages and attends to them. Returns `[tokens, heads, head_dim]`."""

    #: Whether it reads its layout from tensors alone, as a CUDA graph needs.
    is_capturable: bool
    #: Whether a sequence may lie in many small pages.
    is_paged: bool

    def prefill(self, layer: LayerCache, heads: Heads, layout: PrefillLayout, scale: float) -> torch.Tensor:
        """Causal attention inside each prompt."""
        ...

    def decode(self, layer: LayerCache, heads: Heads, layout: DecodeLayout, scale: float) -> torch.Tensor:
        """One query a sequence over all its tokens."""
        ...


def choose_backend(device: torch.device, dtype: torch.dtype, kind: Backend = "auto") -> AttentionBackend:
    """The backend asked for; by default paged kernels where they run, PyTorch's own attention elsewhere."""
    kind = _suited_to(device, dtype) if kind == "auto" else kind
    if kind == "whole":
        from worker.engine.attention.whole import WholeSequenceAttention

        return WholeSequenceAttention()
    if kind == "gathered":
        from worker.engine.attention.gathered import GatheredAttention

        return GatheredAttention()
    from worker.engine.attention.paged import PagedAttention

    return PagedAttention()


def _suited_to(device: torch.device, dtype: torch.dtype) -> Backend:
    if device.type != "cuda":
        # Memory that nobody writes costs a CPU nothing.
        return "whole"
    return "paged" if runs_kernels(compute_capability(device), dtype) else "gathered"


def runs_kernels(capability: tuple[int, int], dtype: torch.dtype) -> bool:
    """Whether the kernels run on a GPU of this compute capability: Triton supports sm_80 on, tests half precision."""
    return capability >= (8, 0) and dtype.itemsize == 2


def compute_capability(device: torch.device) -> tuple[int, int]:
    """Of a GPU: (7, 5) for a T4, (9, 0) for an H200."""
    return torch.cuda.get_device_capability(device)
