"""Decode attention over a paged cache: one query a sequence.

Reading keys and values once is all that it costs (a GPU computes far faster than it reads here), so the kernel is
made for reading: one program a sequence and key head, streaming tiles of pages with an online softmax. The query
heads that share a key head are handled by the same program; a single one needs no matrix unit.
"""

import torch
import triton
import triton.language as tl

from worker.engine.memory.kv_cache import LayerCache

#: Tokens of a tile. With one warp a program, 32 and 64 reach the card's copy bandwidth; four warps half of it.
_TILE = 32


@triton.jit  # type: ignore[untyped-decorator]
def _decode(  # type: ignore[no-untyped-def]
    query_ptr,
    keys_ptr,
    values_ptr,
    tables_ptr,
    lengths_ptr,
    output_ptr,
    scale,
    table_stride,
    query_token_stride,
    query_head_stride,
    num_kv_heads: tl.constexpr,
    group: tl.constexpr,
    page_size: tl.constexpr,
    head_dim: tl.constexpr,
    tile: tl.constexpr,
    group_block: tl.constexpr,
    dim_block: tl.constexpr,
):
    kv_head = tl.program_id(0)
    sequence = tl.program_id(1).to(tl.int64)
    length = tl.load(lengths_ptr + sequence)
    dims = tl.arange(0, dim_block)
    rows = tl.arange(0, group_block)
    heads = kv_head * group + rows
    query_mask = (rows[:, None] < group) & (dims[None, :] < head_dim)
    query = tl.load(
        query_ptr + sequence * query_token_stride + heads[:, None] * query_head_stride + dims[None, :],
        mask=query_mask,
        other=0.0,
    )
    top = tl.full([group_block], float("-inf"), tl.float32)
    total = tl.zeros([group_block], tl.float32)
    sums = tl.zeros([group_block, dim_block], tl.float32)
    for start in range(0, length, tile):
        tokens = start + tl.arange(0, tile)
        is_seen = tokens < length
        page = tl.load(tables_ptr + sequence * table_stride + tokens // page_size, mask=is_seen, other=0)
        place = ((page.to(tl.int64) * num_kv_heads + kv_head) * page_size + tokens % page_size) * head_dim
        mask = is_seen[:, None] & (dims[None, :] < head_dim)
        key = tl.load(keys_ptr + place[:, None] + dims[None, :], mask=mask, other=0.0)
        value = tl.load(values_ptr + place[:, None] + dims[None, :], mask=mask, other=0.0)
        if group_block == 1:
            scores = tl.sum(query.to(tl.float32) * key.to(tl.float32), axis=1)[None, :] * scale
        else:
            scores = tl.dot(query, tl.trans(key), input_precision="ieee") * scale
        scores = tl.where(is_seen[None, :], scores, float("-inf"))
        new_top = tl.maximum(top, tl.max(scores, axis=1))
        weights = tl.exp(scores - new_top[:, None])
        decay = tl.exp(top - new_top)
        total = total * decay + tl.sum(weights, axis=1)
        if group_block == 1:
            update = tl.sum(tl.trans(weights) * value.to(tl.float32), axis=0)[None, :]
        else:
            update = tl.dot(weights.to(value.dtype), value, input_precision="ieee")
        sums = sums * decay[:, None] + update
        top = new_top
    place = (sequence * num_kv_heads * group + heads[:, None]) * head_dim + dims[None, :]
    tl.store(output_ptr + place, (sums / total[:, None]).to(output_ptr.dtype.element_ty), mask=query_mask)


def decode_attention(
    query: torch.Tensor, layer: LayerCache, tables: torch.Tensor, lengths: torch.Tensor, scale: float
) -> torch.Tensor:
    """Attend with each `query[i]` (`[heads, head_dim]`) to the first `lengths[i]` tokens of the pages `tables[i]`."""
    num_seqs, num_heads, head_dim = query.shape
    _, num_kv_heads, page_size, _ = layer.keys.shape
    group = num_heads // num_kv_heads
    query = query if query.stride(-1) == 1 else query.contiguous()
    output = query.new_empty(num_seqs, num_heads, head_dim)
    _decode[(num_kv_heads, num_seqs)](
        query,
        layer.keys,
        layer.values,
        tables,
        lengths,
        output,
        scale,
        tables.stride(0),
        query.stride(0),
        query.stride(1),
        num_kv_heads=num_kv_heads,
        group=group,
        page_size=page_size,
        head_dim=head_dim,
        tile=_TILE,
        # A matrix product wants 16 rows; one row is a dot product.
        group_block=1 if group == 1 else max(16, triton.next_power_of_2(group)),
        dim_block=triton.next_power_of_2(head_dim),
        num_warps=1 if group == 1 else 4,
        num_stages=2,
    )
    return output
