"""Which attention backend a device gets."""

from typing import Literal

import torch

from worker.engine.attention.base import AttentionBackend

#: Paged kernels, pages copied together for PyTorch, pages of whole sequences; or what suits the device.
Backend = Literal["auto", "paged", "gathered", "whole"]


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
