"""What the backends without kernels share: prompts one by one, what pages keep, and the mask of a decode over them."""

from collections.abc import Sequence

import torch

from worker.engine.attention.base import Heads
from worker.engine.attention.causal import CausalAttention


def split_prompts(heads: Heads, lengths: Sequence[int]) -> list[Heads]:
    """Each prompt on its own, `[heads, tokens, head_dim]`."""
    parts = (torch.split(x.transpose(0, 1), list(lengths), dim=1) for x in heads)
    return [Heads(*prompt) for prompt in zip(*parts, strict=True)]


def attend_to_prompts(causal: CausalAttention, prompts: Sequence[Heads], scale: float) -> torch.Tensor:
    """One call a prompt: no padding, and no prompt sees another."""
    return torch.cat([causal(prompt, scale) for prompt in prompts], dim=1).transpose(0, 1)


def storable(heads: torch.Tensor) -> torch.Tensor:
    """Keys or values as a page may keep them: a mask hides what others left in it, but not if it is no number."""
    return heads.nan_to_num(0.0, 0.0, 0.0)


def hide_beyond(lengths: Sequence[int], query: torch.Tensor) -> torch.Tensor:
    """Added to scores, hides what lies beyond each sequence's length: `[sequences, 1, 1, longest]`."""
    visible = torch.tensor(lengths, device=query.device)
    is_hidden = torch.arange(max(lengths), device=query.device) >= visible[:, None]
    return query.new_zeros(is_hidden.shape).masked_fill_(is_hidden, float("-inf"))[:, None, None, :]
