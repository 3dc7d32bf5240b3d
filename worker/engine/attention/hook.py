"""The attention function that transformers' models call, registered under a name of its own."""

from typing import Any

import torch
from transformers import AttentionInterface

from worker.engine.attention.base import Heads
from worker.engine.context import current_context
from worker.engine.unsupported import unsupported

IMPLEMENTATION = "aftercall"

#: What some models hand over to change the scores or to choose the keys; no backend does either.
_UNKNOWN_ARGUMENTS = ("softcap", "s_aux", "sinks", "position_bias", "indices", "block_indices")


@torch.library.custom_op("aftercall::attend", mutates_args=())
def _attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float) -> torch.Tensor:
    """Opaque to the compiler: the cache it writes is no argument of it, and the step's layout never recompiles it."""
    return current_context().attend(Heads(query, key, value), scale).contiguous()


@_attend.register_fake
def _(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float) -> torch.Tensor:
    return query.new_empty(query.shape)


def attention_forward(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """transformers' calling convention: `[1, heads, tokens, head_dim]` in, `[1, tokens, heads, head_dim]` out."""
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    heads = Heads(query[0].transpose(0, 1), key[0].transpose(0, 1), value[0].transpose(0, 1))
    if torch.compiler.is_compiling():
        # Token by token in memory, which costs the compiler nothing: the kernels read and write it so.
        return _attend(*(x.contiguous() for x in heads), scale).unsqueeze(0), None
    # A model is tried out before it is compiled, so that this is seen in any case.
    for name in _UNKNOWN_ARGUMENTS:
        if kwargs.get(name) is not None:
            raise unsupported(f"its attention depends on `{name}`, which the engine does not know")
    return current_context().attend(heads, scale).unsqueeze(0), None


AttentionInterface.register(IMPLEMENTATION, attention_forward)
