"""CUDA graphs: a step captured once is launched by one call instead of a thousand. Knows no sequence and no model.

Launching from Python took a prefill 26 ms of host time, and 40 beside busy threads. Every size is captured at
the start, since a capture would hold up a running engine.
"""

from collections.abc import Callable
from typing import Any

import torch

from worker.engine.inputs import PrefillSize

#: A step's inputs, and the tokens that it samples.
StepFunction = Callable[[torch.Tensor], torch.Tensor]


class StepGraph:
    """One step, captured with room for so many inputs."""

    def __init__(self, run: StepFunction, inputs: torch.Tensor, pool: Any) -> None:
        """Capture `run` on `inputs`, whose memory it keeps; graphs of one `pool` must not overlap."""
        # The rehearsal compiles what is to be compiled and loads every kernel; neither may happen inside a capture.
        run(inputs)
        torch.cuda.synchronize()
        self._inputs = inputs
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, pool=pool):
            self._tokens = run(inputs)

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        """Run the step on `inputs`; what comes back is overwritten by the next step of any size."""
        self._inputs.copy_(inputs, non_blocking=True)
        self._graph.replay()
        return self._tokens


def prefill_sizes(max_num_batched_tokens: int, max_num_seqs: int) -> list[PrefillSize]:
    """Finest where a busy engine's prefills lie: 1% of the tokens are computed in vain there, 6% further down.

    Prompts of 128 tokens and more on average have room; a batch of shorter ones is launched call by call.
    """
    steps = (4, 8, 16, 24, *range(32, 56, 4), *range(56, 65))
    num_prompts = min(max(1, max_num_batched_tokens // 128), max_num_seqs)
    return [PrefillSize(-(-max_num_batched_tokens * step // 64), num_prompts) for step in steps]


def decode_sizes(max_num_seqs: int) -> list[int]:
    """Powers of two up to 128, then steps of 128: what a row in vain costs is small beside its weights."""
    sizes = [size for size in (8, 16, 32, 64) if size < max_num_seqs]
    return [*sizes, *range(128, max_num_seqs, 128), max_num_seqs]
