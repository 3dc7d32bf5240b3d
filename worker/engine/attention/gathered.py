"""Attention through PyTorch's own functions for GPUs that lack the kernels: a decode copies the pages that it reads.

The copies cost a GPU's memory three times the reading. Pages of whole sequences would be read in place, but fill a
small card's memory with what most sequences never write, and few sequences together cost more.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from worker.engine.attention.base import DecodeLayout, Heads, PrefillLayout
from worker.engine.attention.causal import CausalAttention
from worker.engine.attention.prompts import attend_to_prompts, hide_beyond, split_prompts, storable
from worker.engine.memory.kv_cache import LayerCache

#: Sequences that one call reads: neighbours are of like length, and the copies stay small.
_RUN = 32


@dataclass(frozen=True, slots=True)
class _Gather:
    """What one decode step copies; the same for all its layers."""

    layout: DecodeLayout
    #: Of each run: blocks of the cache (one is a page of one head), `[sequences, heads, pages]`, and the mask.
    runs: tuple[tuple[torch.Tensor, torch.Tensor], ...]


class GatheredAttention:
    """The backend of older GPUs, and of GPUs in float32."""

    is_capturable = False
    is_paged = True

    def __init__(self) -> None:
        self._gather: _Gather | None = None
        self._causal = CausalAttention()

    def prefill(self, layer: LayerCache, heads: Heads, layout: PrefillLayout, scale: float) -> torch.Tensor:
        """One call a prompt."""
        _store(layer, heads, layout.slots)
        return attend_to_prompts(self._causal, split_prompts(heads, layout.lengths), scale)

    def decode(self, layer: LayerCache, heads: Heads, layout: DecodeLayout, scale: float) -> torch.Tensor:
        """One call a run of neighbours, padded to the longest of them."""
        _store(layer, heads, layout.slots)
        num_seqs, _, head_dim = heads.query.shape
        query = heads.query.reshape(num_seqs, layer.keys.shape[1], -1, head_dim)
        runs = self._gather_of(layout, layer, query).runs
        outputs = []
        for part, (blocks, mask) in zip(torch.split(query, _RUN), runs, strict=True):
            keys, values = (_read(x, blocks)[:, :, : mask.shape[-1]] for x in (layer.keys, layer.values))
            outputs.append(
                F.scaled_dot_product_attention(
                    part, keys, values, attn_mask=mask.expand(-1, -1, part.shape[2], -1), scale=scale
                )
            )
        return torch.cat(outputs).flatten(1, 2)

    def _gather_of(self, layout: DecodeLayout, layer: LayerCache, query: torch.Tensor) -> _Gather:
        """Computed by the first layer of a step and kept for the others."""
        if self._gather is None or self._gather.layout is not layout:
            starts = range(0, len(layout.host_lengths), _RUN)
            self._gather = _Gather(layout, tuple(_run(layout, start, layer, query) for start in starts))
        return self._gather


def _run(layout: DecodeLayout, start: int, layer: LayerCache, query: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    _, num_heads, page_size, _ = layer.keys.shape
    lengths = layout.host_lengths[start : start + _RUN]
    pages = layout.tables[start : start + _RUN, None, : -(-max(lengths) // page_size)].long()
    heads = torch.arange(num_heads, device=pages.device)[:, None]
    return pages * num_heads + heads, hide_beyond(lengths, query)


def _read(cache: torch.Tensor, blocks: torch.Tensor) -> torch.Tensor:
    """Keys or values of whole sequences, `[sequences, heads, tokens, head_dim]`."""
    copied = cache.flatten(0, 1).index_select(0, blocks.flatten())
    return copied.view(*blocks.shape[:2], -1, cache.shape[3])


def _store(layer: LayerCache, heads: Heads, slots: torch.Tensor) -> None:
    page_size = layer.keys.shape[2]
    pages, offsets = slots // page_size, slots % page_size
    layer.keys[pages, :, offsets] = storable(heads.key)
    layer.values[pages, :, offsets] = storable(heads.value)
