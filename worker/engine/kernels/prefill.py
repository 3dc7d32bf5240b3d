"""Causal attention over packed prompts.

Support conversations are short: a few hundred tokens. The flash kernel that comes with PyTorch works on blocks of 128
by 128 scores, most of which lie above the diagonal or behind the end of such a prompt; smaller blocks waste less.
"""

import torch
import triton
import triton.language as tl

from worker.engine.attention.base import TILE, Heads

#: Keys that a tile of queries meets at a time.
_COLUMNS = 64


# Where the tiles lie in their row of inputs, and so their alignment, differs from step to step.
@triton.jit(do_not_specialize_on_alignment=["tiles_ptr"])  # type: ignore[untyped-decorator]
def _prefill(  # type: ignore[no-untyped-def]
    query_ptr,
    key_ptr,
    value_ptr,
    tiles_ptr,
    output_ptr,
    scale,
    query_token_stride,
    query_head_stride,
    key_token_stride,
    key_head_stride,
    value_token_stride,
    value_head_stride,
    num_heads: tl.constexpr,
    group: tl.constexpr,
    head_dim: tl.constexpr,
    num_rows: tl.constexpr,
    num_columns: tl.constexpr,
    dim_block: tl.constexpr,
):
    tile = tl.program_id(0)
    head = tl.program_id(1)
    start = tl.load(tiles_ptr + tile * 3)
    first = tl.load(tiles_ptr + tile * 3 + 1).to(tl.int32)
    length = tl.load(tiles_ptr + tile * 3 + 2).to(tl.int32)
    if first >= length:
        return
    rows = first + tl.arange(0, num_rows)
    dims = tl.arange(0, dim_block)
    row_mask = (rows[:, None] < length) & (dims[None, :] < head_dim)
    place = (start + rows)[:, None]
    query = tl.load(
        query_ptr + place * query_token_stride + head * query_head_stride + dims[None, :], mask=row_mask, other=0.0
    )
    keys = key_ptr + start * key_token_stride + head // group * key_head_stride
    values = value_ptr + start * value_token_stride + head // group * value_head_stride
    top = tl.full([num_rows], float("-inf"), tl.float32)
    total = tl.zeros([num_rows], tl.float32)
    sums = tl.zeros([num_rows, dim_block], tl.float32)
    for column in range(0, tl.minimum(first + num_rows, length), num_columns):
        columns = column + tl.arange(0, num_columns)
        mask = (columns[:, None] < length) & (dims[None, :] < head_dim)
        key = tl.load(keys + columns[:, None] * key_token_stride + dims[None, :], mask=mask, other=0.0)
        scores = tl.dot(query, tl.trans(key), input_precision="ieee") * (scale * 1.4426950408889634)
        scores = tl.where(columns[None, :] <= rows[:, None], scores, float("-inf"))
        new_top = tl.maximum(top, tl.max(scores, axis=1))
        weights = tl.exp2(scores - new_top[:, None])
        decay = tl.exp2(top - new_top)
        value = tl.load(values + columns[:, None] * value_token_stride + dims[None, :], mask=mask, other=0.0)
        total = total * decay + tl.sum(weights, axis=1)
        sums = sums * decay[:, None] + tl.dot(weights.to(value.dtype), value, input_precision="ieee")
        top = new_top
    output = (sums / total[:, None]).to(output_ptr.dtype.element_ty)
    tl.store(output_ptr + (place * num_heads + head) * head_dim + dims[None, :], output, mask=row_mask)


def prefill_attention(heads: Heads, tiles: torch.Tensor, scale: float) -> torch.Tensor:
    """Attend inside each prompt; `tiles` are a layout's. What belongs to no prompt comes back as it lay in memory."""
    num_tokens, num_heads, head_dim = heads.query.shape
    query, key, value = (x if x.stride(-1) == 1 else x.contiguous() for x in heads)
    output = query.new_empty(num_tokens, num_heads, head_dim)
    _prefill[(len(tiles), num_heads)](
        query,
        key,
        value,
        tiles,
        output,
        scale,
        query.stride(0),
        query.stride(1),
        key.stride(0),
        key.stride(1),
        value.stride(0),
        value.stride(1),
        num_heads=num_heads,
        group=num_heads // key.shape[1],
        head_dim=head_dim,
        num_rows=TILE,
        num_columns=_COLUMNS,
        dim_block=triton.next_power_of_2(head_dim),
        num_warps=4,
        num_stages=3,
    )
    return output
