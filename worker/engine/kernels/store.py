"""Writes keys and values of new tokens into their cache slots, both in one launch."""

import torch
import triton
import triton.language as tl

from worker.engine.memory.kv_cache import LayerCache


# Where the slots lie in their row of inputs, and so their alignment, differs from step to step.
@triton.jit(do_not_specialize_on_alignment=["slots_ptr"])  # type: ignore[untyped-decorator]
def _store(  # type: ignore[no-untyped-def]
    key_ptr,
    value_ptr,
    keys_ptr,
    values_ptr,
    slots_ptr,
    key_token_stride,
    key_head_stride,
    value_token_stride,
    value_head_stride,
    num_heads: tl.constexpr,
    page_size: tl.constexpr,
    head_dim: tl.constexpr,
    heads_block: tl.constexpr,
    dim_block: tl.constexpr,
):
    token = tl.program_id(0).to(tl.int64)
    slot = tl.load(slots_ptr + token)
    heads = tl.arange(0, heads_block)[:, None]
    dims = tl.arange(0, dim_block)[None, :]
    mask = (heads < num_heads) & (dims < head_dim)
    target = ((slot // page_size * num_heads + heads) * page_size + slot % page_size) * head_dim + dims
    key = tl.load(key_ptr + token * key_token_stride + heads * key_head_stride + dims, mask=mask)
    tl.store(keys_ptr + target, key, mask=mask)
    value = tl.load(value_ptr + token * value_token_stride + heads * value_head_stride + dims, mask=mask)
    tl.store(values_ptr + target, value, mask=mask)


def store_kv(key: torch.Tensor, value: torch.Tensor, layer: LayerCache, slots: torch.Tensor) -> None:
    """`key` and `value` are `[tokens, heads, head_dim]` of any strides; `slots` says where each token goes."""
    num_tokens, num_heads, head_dim = key.shape
    key, value = (x if x.stride(-1) == 1 else x.contiguous() for x in (key, value))
    _store[(num_tokens,)](
        key,
        value,
        layer.keys,
        layer.values,
        slots,
        key.stride(0),
        key.stride(1),
        value.stride(0),
        value.stride(1),
        num_heads=num_heads,
        page_size=layer.keys.shape[2],
        head_dim=head_dim,
        heads_block=triton.next_power_of_2(num_heads),
        dim_block=triton.next_power_of_2(head_dim),
        num_warps=4,
    )
