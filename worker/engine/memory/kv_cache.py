"""The KV cache: its shape, its tensors, and how many pages of it fit. Knows no sequence."""

import math
import mmap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from worker.engine.memory.ram import available_ram


@dataclass(frozen=True, slots=True)
class CacheShape:
    """What a model keeps for every token it has read."""

    num_layers: int
    num_kv_heads: int
    head_dim: int

    @classmethod
    def of(cls, config: Any) -> "CacheShape":
        """The shape that a transformers configuration asks for."""
        text = config.get_text_config()
        num_heads = text.num_attention_heads
        return cls(
            num_layers=text.num_hidden_layers,
            num_kv_heads=getattr(text, "num_key_value_heads", None) or num_heads,
            head_dim=getattr(text, "head_dim", None) or text.hidden_size // num_heads,
        )

    def page_bytes(self, page_size: int, dtype: torch.dtype) -> int:
        """Bytes of one page, keys and values of all layers."""
        return 2 * self.num_layers * self.num_kv_heads * page_size * self.head_dim * dtype.itemsize


@dataclass(frozen=True, slots=True)
class LayerCache:
    """One layer's keys and values, each `[num_pages, num_kv_heads, page_size, head_dim]`."""

    keys: torch.Tensor
    values: torch.Tensor


def allocate_cache(
    shape: CacheShape, num_pages: int, page_size: int, dtype: torch.dtype, device: torch.device
) -> list[LayerCache]:
    """Pages for all layers, zeroed: a mask hides what nobody wrote, but not if it is no number."""
    size = (2, num_pages, shape.num_kv_heads, page_size, shape.head_dim)
    allocate = _lazy_zeros if device.type == "cpu" else partial(torch.zeros, device=device)
    layers = (allocate(size, dtype=dtype) for _ in range(shape.num_layers))
    return [LayerCache(keys=layer[0], values=layer[1]) for layer in layers]


def _lazy_zeros(size: Sequence[int], *, dtype: torch.dtype) -> torch.Tensor:
    """Zeros that take memory only once they are written: most of a page made for the longest sequence never is."""
    memory = mmap.mmap(-1, math.prod(size) * dtype.itemsize)
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        # A huge page would bring in the unwritten rest of four heads with the first token of one.
        memory.madvise(mmap.MADV_NOHUGEPAGE)
    return torch.frombuffer(memory, dtype=dtype).view(*size)


def copy_pages(layers: Sequence[LayerCache], sources: Sequence[int], targets: Sequence[int], num_tokens: int) -> None:
    """Copy the first `num_tokens` tokens of each source page to the target page at the same place in the list.

    All of a small page is copied; of a page that holds a whole sequence, the rest may never have been written, and
    copying it would take up its memory.
    """
    if not sources:
        return
    for layer in layers:
        for cache in (layer.keys, layer.values):
            cache[targets, :, :num_tokens] = cache[sources, :, :num_tokens]


def free_bytes(device: torch.device) -> int:
    """Memory that the device has left for this process, what torch holds without using it included."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        allowed = int(total * torch.cuda.get_per_process_memory_fraction(device))
        return min(free + torch.cuda.memory_reserved(device), allowed) - torch.cuda.memory_allocated(device)
    return available_ram()
