"""A device that only waits, as long as one H200 takes for Phi-1.5: the host's work beside an engine, without a GPU.

Launches cost the host what they cost it on a GPU: many small calls, each of which gives up the interpreter. Knows no
queue; everything but the device is the engine's own.
"""

import time
from dataclasses import dataclass

import torch

from worker.engine.engine import Choices
from worker.engine.scheduler import Step

PREFILL_TOKENS_PER_S = 205_000
DECODE_BASE_S, DECODE_S_PER_SEQ = 0.005, 0.000015

#: Kernels of a step, each a call from Python: a prefill launches them one by one, a decode replays a graph.
PREFILL_LAUNCHES, DECODE_LAUNCHES = 240, 12
LAUNCH_S = 10e-6


@dataclass(frozen=True, slots=True)
class SimulatedTokens:
    """Tokens that arrive when the device has come to them."""

    ready_at: float
    num_seqs: int

    def wait(self) -> Choices:
        """Any token does; this one is a word in most vocabularies."""
        time.sleep(max(0.0, self.ready_at - time.time()))
        return Choices([1000] * self.num_seqs, [0.0] * self.num_seqs, [0.0] * self.num_seqs)


class SimulatedRunner:
    """Implements `worker.engine.engine.Runner`, and `bench.timing.spans.SpanClock`: one step after the other."""

    max_model_len = 2048
    max_in_flight = 2
    page_size = 16

    def __init__(self, vocab_size: int, max_num_seqs: int) -> None:
        self.vocab_size = vocab_size
        self.num_pages = max_num_seqs * self.max_model_len // self.page_size + 1
        self._scrap = torch.zeros(16)
        self._free_at = 0.0

    def launch(self, step: Step) -> SimulatedTokens:
        """Queue a step behind those before it."""
        if step.is_prefill:
            tokens = [token for sequence in step.sequences for token in sequence.tokens]
            duration_s, num_launches = len(tokens) / PREFILL_TOKENS_PER_S, PREFILL_LAUNCHES
        else:
            duration_s, num_launches = DECODE_BASE_S + DECODE_S_PER_SEQ * len(step.sequences), DECODE_LAUNCHES
        end_at = self.mark() + duration_s
        for _ in range(num_launches):
            self._launch_kernel()
        # The device runs what is launched, so it cannot end before the last launch.
        self._free_at = max(end_at, time.time())
        return SimulatedTokens(self._free_at, len(step.sequences))

    def close(self) -> None:
        """Nothing to free."""

    def mark(self) -> float:
        """When the device will have done everything launched so far."""
        return max(self._free_at, time.time())

    def seconds(self, mark: float) -> float:
        """The same."""
        return mark

    def _launch_kernel(self) -> None:
        until = time.perf_counter() + LAUNCH_S
        self._scrap.add_(1)
        while time.perf_counter() < until:
            pass
