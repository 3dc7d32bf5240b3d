"""Attention through PyTorch's own functions where memory is taken as it is written: a page holds a whole sequence.

A sequence's keys are then one contiguous block, and a decode reads them in place: runs of neighbouring pages, each run
up to its own longest sequence. Pages of others inside a run are computed and dropped; prompts come sorted by length,
so little is read in vain.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from worker.engine.attention.base import DecodeLayout, Heads, PrefillLayout
from worker.engine.attention.causal import CausalAttention
from worker.engine.attention.prompts import attend_to_prompts, hide_beyond, split_prompts, storable
from worker.engine.memory.kv_cache import LayerCache

#: Pages that one call reads.
_RUN = 8


@dataclass(frozen=True, slots=True)
class _Span:
    """The part of the cache that one decode step reads; the same for all its layers."""

    layout: DecodeLayout
    first: int
    last: int
    #: Each sequence's page and offset in the cache, and its place in the span.
    pages: torch.Tensor
    offsets: torch.Tensor
    places: torch.Tensor
    #: Start and end inside the span, and the mask added to the scores, `[pages, 1, 1, longest]`.
    runs: tuple[tuple[int, int, torch.Tensor], ...]


class WholeSequenceAttention:
    """The backend of the CPU."""

    is_capturable = False
    is_paged = False

    def __init__(self) -> None:
        self._span: _Span | None = None
        self._causal = CausalAttention()

    def prefill(self, layer: LayerCache, heads: Heads, layout: PrefillLayout, scale: float) -> torch.Tensor:
        """One call a prompt."""
        prompts = split_prompts(heads, layout.lengths)
        for page, (_, key, value) in zip(layout.first_pages, prompts, strict=True):
            layer.keys[page, :, : key.shape[1]] = storable(key)
            layer.values[page, :, : value.shape[1]] = storable(value)
        return attend_to_prompts(self._causal, prompts, scale)

    def decode(self, layer: LayerCache, heads: Heads, layout: DecodeLayout, scale: float) -> torch.Tensor:
        """Query heads that share a key head are the rows of one small matrix."""
        span = self._span_of(layout, heads.query)
        layer.keys[span.pages, :, span.offsets] = storable(heads.key)
        layer.values[span.pages, :, span.offsets] = storable(heads.value)
        keys, values = layer.keys[span.first : span.last], layer.values[span.first : span.last]
        query = heads.query.new_zeros(span.last - span.first, *heads.query.shape[1:])
        query[span.places] = heads.query
        query = query.view(len(query), keys.shape[1], -1, query.shape[2])
        outputs = torch.empty_like(query)
        for start, end, mask in span.runs:
            longest = mask.shape[-1]
            outputs[start:end] = F.scaled_dot_product_attention(
                query[start:end],
                keys[start:end, :, :longest],
                values[start:end, :, :longest],
                attn_mask=mask.expand(-1, -1, query.shape[2], -1),
                scale=scale,
            )
        return outputs.flatten(1, 2)[span.places]

    def _span_of(self, layout: DecodeLayout, query: torch.Tensor) -> _Span:
        """Computed by the first layer of a step and kept for the others."""
        if self._span is None or self._span.layout is not layout:
            self._span = _span(layout, query)
        return self._span


def _span(layout: DecodeLayout, query: torch.Tensor) -> _Span:
    first, last = min(layout.host_pages), max(layout.host_pages) + 1
    # A page of nobody in the batch sees one token, so that its softmax is a number.
    lengths = [1] * (last - first)
    for page, length in zip(layout.host_pages, layout.host_lengths, strict=True):
        lengths[page - first] = length
    pages = layout.tables[:, 0].long()
    return _Span(
        layout=layout,
        first=first,
        last=last,
        pages=pages,
        offsets=layout.lengths.long() - 1,
        places=pages - first,
        runs=tuple(_run(lengths, start, query) for start in range(0, last - first, _RUN)),
    )


def _run(lengths: list[int], start: int, query: torch.Tensor) -> tuple[int, int, torch.Tensor]:
    mask = hide_beyond(lengths[start : start + _RUN], query)
    return start, start + len(mask), mask
