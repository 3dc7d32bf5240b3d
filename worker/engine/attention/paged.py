"""Attention for GPUs with flash attention: packed prefill through PyTorch's flash kernel, decode through our own."""

import torch

from worker.engine.cache import LayerCache
from worker.engine.context import DecodeLayout, Heads, PrefillLayout
from worker.engine.kernels.decode import decode_attention
from worker.engine.kernels.store import store_kv


class PagedAttention:
    """The backend of CUDA devices from sm_80 on, in half precision."""

    is_capturable = True

    def prefill(self, layer: LayerCache, heads: Heads, layout: PrefillLayout, scale: float) -> torch.Tensor:
        """All prompts in one call of the flash kernel, bounded by where each starts."""
        store_kv(heads.key, heads.value, layer, layout.slots)
        longest = max(layout.lengths)
        # The function under torch.nn.attention.varlen, whose arguments change from release to release.
        output: torch.Tensor = torch.ops.aten._flash_attention_forward(
            *heads,
            layout.boundaries,
            layout.boundaries,
            longest,
            longest,
            dropout_p=0.0,
            is_causal=True,
            return_debug_mask=False,
            scale=scale,
        )[0]
        return output

    def decode(self, layer: LayerCache, heads: Heads, layout: DecodeLayout, scale: float) -> torch.Tensor:
        """Reads every key and value once, in place."""
        store_kv(heads.key, heads.value, layer, layout.slots)
        return decode_attention(heads.query, layer, layout.tables, layout.lengths, scale)
