"""Attention for GPUs from sm_80 on: packed prompts and paged decode."""

import torch

from worker.engine.attention.base import DecodeLayout, Heads, PrefillLayout
from worker.engine.kernels.decode import decode_attention
from worker.engine.kernels.prefill import prefill_attention
from worker.engine.kernels.store import store_kv
from worker.engine.memory.kv_cache import LayerCache


class PagedAttention:
    """The backend of CUDA devices in half precision."""

    is_capturable = True
    is_paged = True

    def prefill(self, layer: LayerCache, heads: Heads, layout: PrefillLayout, scale: float) -> torch.Tensor:
        """All prompts in one launch, tile by tile."""
        store_kv(heads.key, heads.value, layer, layout.slots)
        return prefill_attention(heads, layout.tiles, scale)

    def decode(self, layer: LayerCache, heads: Heads, layout: DecodeLayout, scale: float) -> torch.Tensor:
        """Reads every key and value once, in place."""
        store_kv(heads.key, heads.value, layer, layout.slots)
        return decode_attention(heads.query, layer, layout.tables, layout.lengths, scale)
