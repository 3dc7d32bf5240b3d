"""What the attention of a step is given and what it answers: heads, layouts, and the protocol of a backend."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch

from worker.engine.memory.kv_cache import LayerCache

#: Queries of one prompt that attention handles together.
TILE = 64


class Heads(NamedTuple):
    """What a layer projects its tokens to, each `[tokens, heads, head_dim]`."""

    query: torch.Tensor
    key: torch.Tensor
    value: torch.Tensor


@dataclass(frozen=True, slots=True)
class PrefillLayout:
    """Whole prompts, one behind the other without padding."""

    #: Cache slot of every token: page x page size + offset.
    slots: torch.Tensor
    #: `[tiles, 3]`: where the tile's prompt starts, the tile's first token in it, and its length; zeros fill up.
    tiles: torch.Tensor
    #: Length and first page of each prompt on the host; empty in a captured step, which may use tensors only.
    lengths: tuple[int, ...] = ()
    first_pages: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class DecodeLayout:
    """One token of each sequence."""

    #: Cache slot of every token.
    slots: torch.Tensor
    #: Pages of each sequence in their order, `[batch, max_pages]`, int32.
    tables: torch.Tensor
    #: Tokens that each query sees, its own included; int32.
    lengths: torch.Tensor
    #: First page and length of each sequence on the host; empty in a captured step, which may use tensors only.
    host_pages: tuple[int, ...] = ()
    host_lengths: tuple[int, ...] = ()


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
