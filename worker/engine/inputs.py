"""Steps as the device gets them: one row of numbers each, so that each takes one upload.

Knows sequences and pages; knows no model.
"""

from collections.abc import Sequence as Seq
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from worker.engine.attention.base import TILE
from worker.engine.sequence import Sequence

Numbers = np.ndarray[tuple[int, ...], np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class PrefillSize:
    """What a prefill has room for: as much as it holds, or more where it is filled up to a captured size."""

    num_tokens: int
    num_prompts: int

    @classmethod
    def of(cls, sequences: Seq[Sequence]) -> "PrefillSize":
        """Just enough for `sequences`."""
        return cls(sum(sequence.num_read for sequence in sequences), len(sequences))

    def holds(self, other: "PrefillSize") -> bool:
        """Whether `other` can be filled up to this size."""
        return self.num_tokens >= other.num_tokens and self.num_prompts >= other.num_prompts

    @property
    def num_tiles(self) -> int:
        """Tiles that so many prompts of so many tokens have at most: each begins one that it may not fill."""
        return self.num_tokens // TILE + self.num_prompts


class PrefillInputs(NamedTuple):
    """Views of the row of a prefill, on the host or on the device."""

    #: One a token. Slots say where keys go: page x page size + offset.
    token_ids: Any
    positions: Any
    slots: Any
    #: One a prompt: its row in the decode tables, its seed, the place of its last token.
    rows: Any
    seeds: Any
    last: Any
    #: `[tiles, 3]`: where the tile's prompt starts, the tile's first token in it, and its length.
    tiles: Any

    @classmethod
    def of(cls, row: Any, size: PrefillSize) -> "PrefillInputs":
        """The views of `row`, an array or a tensor."""
        parts, end = [], 0
        for num in (*[size.num_tokens] * 3, *[size.num_prompts] * 3, 3 * size.num_tiles):
            parts.append(row[end : end + num])
            end += num
        *vectors, tiles = parts
        return cls._make([*vectors, tiles.reshape(-1, 3)])


def pack_prompts(sequences: Seq[Sequence], page_size: int, size: PrefillSize, scratch_row: int) -> Numbers:
    """Whole prompts, one behind the other, filled up to `size`; those read with another one follow it directly.

    What fills up belongs to no prompt: its tokens write to the scratch page, its prompts to the scratch row, and its
    tiles are empty.
    """
    row = np.zeros(3 * (size.num_tokens + size.num_prompts + size.num_tiles), np.int64)
    parts = PrefillInputs.of(row, size)
    parts.rows[:] = scratch_row
    tiles, start = [], 0
    for index, sequence in enumerate(sequences):
        parts.rows[index], parts.seeds[index] = sequence.row, sequence.seed
        if sequence.read_with is None:
            length = sequence.num_tokens
            prompt, positions = slice(start, start + length), np.arange(length)
            parts.token_ids[prompt] = sequence.tokens
            parts.positions[prompt] = positions
            parts.slots[prompt] = np.repeat(sequence.pages, page_size)[:length] * page_size + positions % page_size
            tiles += [(start, first, length) for first in range(0, length, TILE)]
            start += length
        # What is read with the sequence before it chooses its token from the same logits.
        parts.last[index] = start - 1
    parts.tiles[: len(tiles)] = np.array(tiles).reshape(-1, 3)
    return row


def pack_decode(sequences: Seq[Sequence], size: int, scratch_row: int) -> Numbers:
    """Row in the decode tables and position of each sequence's newest token, `[2, size]`."""
    inputs = np.zeros((2, size), np.int64)
    inputs[0] = scratch_row
    inputs[0, : len(sequences)] = [sequence.row for sequence in sequences]
    inputs[1, : len(sequences)] = [sequence.num_cached - 1 for sequence in sequences]
    return inputs
