"""Which sequences run next: admission by tokens, decode, preemption. Knows no tensor, no text and no clock.

A step is one prefill or one decode. Prefills wait until they are worth a step of their own (a few prompts at a time
waste the device); decode goes on meanwhile, so nothing starves: the queue is first in, first out, a running sequence
ends after `max_new_tokens` at the latest, and the oldest one is never preempted.
"""

import heapq
from collections import deque
from collections.abc import Sequence as Seq
from dataclasses import dataclass

from worker.engine.memory.pages import PagePool
from worker.engine.sequence import Sequence

#: After so many steps without another shortage of memory, twice as much is tried. Where memory is short for good, one
#: step in so many is run again.
_STEPS_BEFORE_GROWTH = 64


@dataclass(frozen=True, slots=True)
class Limits:
    """What one step may hold."""

    max_num_seqs: int
    #: Prompt tokens of one prefill; at least the longest sequence, which is prefilled whole.
    max_num_batched_tokens: int
    #: A prefill of so many tokens is worth its step while others wait to decode.
    min_prefill_tokens: int


@dataclass(frozen=True, slots=True)
class Step:
    """The sequences that run together once, all of them in prefill or all of them in decode."""

    sequences: tuple[Sequence, ...]
    is_prefill: bool


class Scheduler:
    """Moves sequences from `waiting` to `running`, and out when they end."""

    def __init__(self, limits: Limits, pool: PagePool) -> None:
        self.limits = limits
        self.pool = pool
        self.waiting: deque[Sequence] = deque()
        #: In the order of admission; a dict, since sequences leave from anywhere.
        self.running: dict[Sequence, None] = {}
        self._free_rows = list(range(limits.max_num_seqs))
        self._max_running = limits.max_num_seqs
        self._max_batched_tokens = limits.max_num_batched_tokens
        self._num_steps_since_shortage = 0

    @property
    def has_work(self) -> bool:
        """Whether any sequence has yet to end."""
        return bool(self.waiting or self.running)

    def add(self, sequence: Sequence) -> None:
        """Queue a sequence behind those that wait."""
        self.waiting.append(sequence)

    def schedule(self) -> Step | None:
        """The next step; None when all that is left is in flight."""
        self._grow()
        admissible = self._admissible()
        is_prefill = bool(admissible) and self._is_worth_a_prefill(admissible)
        sequences = self._admit(admissible) if is_prefill else self._decodable()
        if not sequences:
            return None
        self._num_steps_since_shortage += 1
        for sequence in sequences:
            sequence.num_in_flight += 1
        if any(sequence.adapter for sequence in sequences):
            # Neighbours, so that the tokens of an adapter are one slice.
            sequences = sorted(sequences, key=lambda sequence: sequence.adapter)
        return Step(tuple(sequences), is_prefill)

    def finish(self, sequence: Sequence) -> None:
        """Take an ended sequence out and free what it holds."""
        if sequence in self.running:
            self._release(sequence)
        elif sequence in self.waiting:
            self.waiting.remove(sequence)

    def shrink(self, step: Step) -> bool:
        """After `step` ran out of memory: queue it again and try half as much; False if it was one sequence."""
        self._num_steps_since_shortage = 0
        for sequence in step.sequences:
            sequence.num_in_flight -= 1
        if len(step.sequences) == 1:
            # It was this one that did not fit, not the batches that it was in: the others may have their room again.
            self._max_running = self.limits.max_num_seqs
            self._max_batched_tokens = self.limits.max_num_batched_tokens
            return False
        if step.is_prefill:
            num_tokens = sum(sequence.num_read for sequence in step.sequences)
            self._max_batched_tokens = max(1, num_tokens // 2)
        else:
            self._max_running = max(1, len(self.running) // 2)
        # In the order of admission, which a step sorted by adapter has lost: the oldest goes on.
        failed = set(step.sequences)
        for sequence in reversed([s for s in self.running if s in failed]):
            if step.is_prefill or len(self.running) > self._max_running:
                self._preempt(sequence)
            else:
                sequence.num_cached -= 1
        return True

    def _grow(self) -> None:
        """After a while without a shortage twice as much, up to the limits: who held the device may have left it."""
        if self._num_steps_since_shortage == _STEPS_BEFORE_GROWTH:
            self._num_steps_since_shortage = 0
            self._max_running = min(2 * self._max_running, self.limits.max_num_seqs)
            self._max_batched_tokens = min(2 * self._max_batched_tokens, self.limits.max_num_batched_tokens)

    def _admissible(self) -> list[Sequence]:
        """The head of the queue, as far as rows, pages and the token budget go; a first prompt goes in any case."""
        picked: list[Sequence] = []
        num_rows = self._max_running - len(self.running)
        if num_rows <= 0 or not self.waiting:
            return picked
        num_pages = self.pool.num_free - self._num_pages_spare()
        num_tokens = self._max_batched_tokens
        for sequence in self.waiting:
            sequence.read_with = _find_read(sequence, picked)
            num_pages -= self.pool.pages_for(sequence.num_tokens)
            num_tokens -= sequence.num_read
            is_over_budget = num_tokens < 0 and picked
            # A preempted sequence is prefilled with its whole completion, which has to have arrived.
            if len(picked) == num_rows or num_pages < 0 or is_over_budget or sequence.num_in_flight:
                break
            picked.append(sequence)
        return picked

    def _num_pages_spare(self) -> int:
        """One page for every running sequence that may still grow, so that an admission preempts nobody at once."""
        return sum(self.pool.pages_for(s.max_tokens) > len(s.pages) for s in self.running)

    def _is_worth_a_prefill(self, admissible: Seq[Sequence]) -> bool:
        num_idle = self._max_running - len(self.running)
        return (
            not self.running
            or len(admissible) == len(self.waiting)
            or num_idle * 8 >= self._max_running
            or sum(sequence.num_read for sequence in admissible) >= self.limits.min_prefill_tokens
        )

    def _admit(self, sequences: Seq[Sequence]) -> Seq[Sequence]:
        for sequence in sequences:
            self.waiting.popleft()
            self.running[sequence] = None
            sequence.row = heapq.heappop(self._free_rows)
            sequence.pages.extend(self.pool.take(self.pool.pages_for(sequence.num_tokens)))
            sequence.num_cached = sequence.num_tokens
        return sequences

    def _decodable(self) -> list[Sequence]:
        """Every running sequence that wants a token, with room for it; the newest make room where there is none."""
        decoding = []
        for sequence in list(self.running):
            if sequence.is_fully_scheduled or sequence not in self.running:
                continue
            if self._make_room(sequence):
                sequence.num_cached += 1
                decoding.append(sequence)
        return decoding

    def _make_room(self, sequence: Sequence) -> bool:
        """Give `sequence` the page that its next token needs; False if it had to make room itself."""
        if sequence.num_cached < len(sequence.pages) * self.pool.page_size:
            return True
        while not self.pool.num_free:
            newest = next(reversed(self.running))
            self._preempt(newest)
            if newest is sequence:
                return False
        sequence.pages.extend(self.pool.take(1))
        return True

    def _preempt(self, sequence: Sequence) -> None:
        """Back to the head of the queue; its prefill will feed the completion so far too."""
        self._release(sequence)
        self.waiting.appendleft(sequence)

    def _release(self, sequence: Sequence) -> None:
        del self.running[sequence]
        heapq.heappush(self._free_rows, sequence.row)
        sequence.row = -1
        self.pool.give_back(sequence.pages)
        sequence.num_cached = 0


def _find_read(sequence: Sequence, picked: Seq[Sequence]) -> Sequence | None:
    """The sequence whose prefill serves `sequence` too, if the one picked before it has the same tokens to read."""
    if not picked:
        return None
    last = picked[-1]
    # Parts instead of `tokens`, which would be put together anew for each that waits, at each step.
    is_same = (last.adapter, last.completion, last.prompt) == (sequence.adapter, sequence.completion, sequence.prompt)
    return (last.read_with or last) if is_same else None
