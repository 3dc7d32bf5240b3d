"""CUDA graphs of the decode step, one a batch size, captured when first needed. Knows no sequence."""

from collections.abc import Callable

import torch

#: `(rows, positions) -> sampled tokens`, all on the device.
DecodeFunction = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class DecodeGraphs:
    """Replays `decode` for batches of any size up to `max_num_seqs`, filled up to a captured size."""

    def __init__(self, decode: DecodeFunction, max_num_seqs: int, scratch_row: int, device: torch.device) -> None:
        self._decode = decode
        self._scratch_row = scratch_row
        self._sizes = _sizes(max_num_seqs)
        self._rows = torch.full((self._sizes[-1],), scratch_row, dtype=torch.long, device=device)
        self._positions = torch.zeros(self._sizes[-1], dtype=torch.long, device=device)
        self._graphs: dict[int, tuple[torch.cuda.CUDAGraph, torch.Tensor]] = {}

    def __call__(self, rows: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """Decode one step; the result is overwritten by the next call of that size."""
        num_seqs = len(rows)
        size = next(size for size in self._sizes if size >= num_seqs)
        if size not in self._graphs:
            self._graphs[size] = self._capture(size)
        graph, tokens = self._graphs[size]
        self._rows[:num_seqs].copy_(rows)
        self._positions[:num_seqs].copy_(positions)
        self._rows[num_seqs:size].fill_(self._scratch_row)
        self._positions[num_seqs:size].zero_()
        graph.replay()
        return tokens[:num_seqs]

    def _capture(self, size: int) -> tuple[torch.cuda.CUDAGraph, torch.Tensor]:
        # The rehearsal compiles what is to be compiled; on scratch rows, since it decodes in earnest.
        rows, positions = self._rows[:size].fill_(self._scratch_row), self._positions[:size].zero_()
        self._decode(rows, positions)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        pool = next(iter(self._graphs.values()))[0].pool() if self._graphs else None
        with torch.cuda.graph(graph, pool=pool):
            tokens = self._decode(rows, positions)
        return graph, tokens


def _sizes(max_num_seqs: int) -> list[int]:
    """Powers of two up to 64, then steps of 64: at most 64 rows are computed in vain."""
    sizes = [size for size in (8, 16, 32, 64) if size < max_num_seqs]
    sizes += range(128, max_num_seqs, 64)
    return [*sizes, max_num_seqs]
