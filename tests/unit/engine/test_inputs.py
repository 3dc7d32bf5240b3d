"""A step's row of numbers: whole prompts, and what fills it up touches nobody."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from worker.engine.attention.base import TILE
from worker.engine.graphs import decode_sizes, prefill_sizes
from worker.engine.inputs import PrefillInputs, PrefillSize, pack_decode, pack_prompts
from worker.engine.memory.pages import SCRATCH_PAGE
from worker.engine.sequence import Sequence

PAGE_SIZE = 16
SCRATCH_ROW = 1000


@st.composite
def batches(draw: st.DrawFn) -> tuple[list[Sequence], PrefillSize]:
    """Sequences with pages of their own, and a size that holds them."""
    lengths = draw(st.lists(st.integers(1, 200), min_size=1, max_size=12))
    num_pages = [-(-length // PAGE_SIZE) for length in lengths]
    pages = draw(st.permutations(range(1, sum(num_pages) + 1)))
    sequences = []
    for index, (length, num) in enumerate(zip(lengths, num_pages, strict=True)):
        held, pages = pages[:num], pages[num:]
        tokens = tuple(range(1000 * index + 1, 1000 * index + 1 + length))
        sequences.append(Sequence(tokens, 5, seed=-index - 1, row=index, pages=list(held)))
    needed = PrefillSize.of(sequences)
    spare_tokens, spare_prompts = draw(st.integers(0, 300)), draw(st.integers(0, 20))
    return sequences, PrefillSize(needed.num_tokens + spare_tokens, needed.num_prompts + spare_prompts)


@given(batches())
def test_every_prompt_is_whole_and_what_fills_up_touches_nobody(batch: tuple[list[Sequence], PrefillSize]) -> None:
    sequences, size = batch
    inputs = PrefillInputs.of(pack_prompts(sequences, PAGE_SIZE, size, SCRATCH_ROW), size)
    start = 0
    for index, sequence in enumerate(sequences):
        end = start + sequence.num_tokens
        assert tuple(inputs.token_ids[start:end]) == sequence.tokens
        assert inputs.positions[start:end].tolist() == list(range(sequence.num_tokens))
        pages = [sequence.pages.index(page) for page in inputs.slots[start:end] // PAGE_SIZE]
        offsets = inputs.slots[start:end] % PAGE_SIZE
        assert (np.array(pages) * PAGE_SIZE + offsets).tolist() == list(range(sequence.num_tokens))
        assert (inputs.rows[index], inputs.seeds[index], inputs.last[index]) == (sequence.row, sequence.seed, end - 1)
        start = end
    assert np.all(inputs.slots[start:] // PAGE_SIZE == SCRATCH_PAGE)
    assert np.all(inputs.rows[len(sequences) :] == SCRATCH_ROW)
    assert np.all(inputs.last < size.num_tokens)


@given(batches())
def test_tiles_cover_each_token_of_each_prompt_once(batch: tuple[list[Sequence], PrefillSize]) -> None:
    sequences, size = batch
    inputs = PrefillInputs.of(pack_prompts(sequences, PAGE_SIZE, size, SCRATCH_ROW), size)
    covered = [
        (int(start), int(start + row))
        for start, first, length in inputs.tiles
        for row in range(first, min(first + TILE, length))
    ]
    expected, start = [], 0
    for sequence in sequences:
        expected += [(start, start + row) for row in range(sequence.num_tokens)]
        start += sequence.num_tokens
    assert covered == expected


@given(st.integers(1, 20_000), st.integers(1, 2000))
def test_sizes_grow_up_to_the_limits(max_num_batched_tokens: int, max_num_seqs: int) -> None:
    prefills, decodes = prefill_sizes(max_num_batched_tokens, max_num_seqs), decode_sizes(max_num_seqs)
    assert [size.num_tokens for size in prefills] == sorted(size.num_tokens for size in prefills)
    assert prefills[-1].num_tokens == max_num_batched_tokens
    assert decodes == sorted(set(decodes))
    assert decodes[-1] == max_num_seqs


def test_a_busy_engine_computes_little_in_vain() -> None:
    sizes = prefill_sizes(8192, 1024)
    for num_tokens in range(7300, 8193, 7):
        size = next(size for size in sizes if size.holds(PrefillSize(num_tokens, 25)))
        assert size.num_tokens - num_tokens < 0.02 * num_tokens


def test_a_decode_is_filled_up_with_the_scratch_row() -> None:
    sequences = [Sequence((1, 2, 3), 5, row=7, num_cached=4), Sequence((1,), 5, row=2, num_cached=2)]
    assert pack_decode(sequences, 4, SCRATCH_ROW).tolist() == [[7, 2, SCRATCH_ROW, SCRATCH_ROW], [3, 1, 0, 0]]
