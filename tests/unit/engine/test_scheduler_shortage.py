"""After the device ran short of memory: half as much, and in time as much as before."""

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from worker.engine.memory.pages import PagePool
from worker.engine.scheduler import Limits, Scheduler, Step
from worker.engine.sequence import Sequence

MAX_TOKENS, MAX_SEQS = 64, 16


def never(step: Step) -> bool:
    return False


class Device:
    """Runs steps one after the other; `is_short` says which of them find no memory."""

    def __init__(self, is_short: Callable[[Step], bool] = never) -> None:
        self.scheduler = Scheduler(Limits(MAX_SEQS, MAX_TOKENS, min_prefill_tokens=1), PagePool(500, 4))
        self.is_short = is_short
        self.num_steps = self.num_short = 0
        #: Who failed alone; of every step that ran its tokens, or its sequences.
        self.failed: list[Sequence] = []
        self.prefills: list[int] = []
        self.decodes: list[int] = []

    def complete(self, *sequences: Sequence) -> None:
        """Run until these have ended, by their length or by failing alone."""
        for sequence in sequences:
            self.scheduler.add(sequence)
        while (step := self.scheduler.schedule()) is not None:
            self.num_steps += 1
            assert self.num_steps < 100_000, "it never ends"
            if self.is_short(step):
                self.num_short += 1
                if not self.scheduler.shrink(step):
                    self.failed.append(step.sequences[0])
                    self.scheduler.finish(step.sequences[0])
            else:
                self.run(step)

    def run(self, step: Step) -> None:
        if step.is_prefill:
            self.prefills.append(sum(sequence.num_tokens for sequence in step.sequences))
        else:
            self.decodes.append(len(step.sequences))
        for sequence in step.sequences:
            sequence.receive(0)
            if len(sequence.completion) == sequence.max_new_tokens:
                sequence.finish_reason = "length"
                self.scheduler.finish(sequence)


def prompts(num_prompts: int, num_tokens: int, max_new_tokens: int = 4) -> list[Sequence]:
    return [Sequence((index,) * num_tokens, max_new_tokens) for index in range(num_prompts)]


def test_one_short_moment_over_two_small_prompts_is_forgotten() -> None:
    device = Device(is_short=lambda step: device.num_short == 0)
    device.complete(*prompts(2, num_tokens=3))
    device.complete(*prompts(600, num_tokens=16))
    assert device.num_short == 1
    assert not device.failed
    assert device.prefills[:3] == [3, 3, 16], "the shortage changed nothing: the test shows nothing"
    assert device.prefills[-1] == MAX_TOKENS


def test_one_short_moment_of_a_decode_is_forgotten() -> None:
    device = Device(is_short=lambda step: not step.is_prefill and device.num_short == 0)
    device.complete(*prompts(600, num_tokens=4))
    assert device.num_short == 1
    assert min(device.decodes) < MAX_SEQS
    assert max(device.decodes) == MAX_SEQS


def test_a_device_that_stays_short_runs_few_steps_in_vain() -> None:
    device = Device(is_short=lambda step: step.is_prefill and sum(s.num_tokens for s in step.sequences) > 20)
    device.complete(*prompts(2000, num_tokens=4))
    assert not device.failed
    assert 1 < device.num_short < device.num_steps / 30


@given(
    requests=st.lists(st.tuples(st.integers(1, 40), st.integers(1, 12)), min_size=1, max_size=40),
    shortages=st.sets(st.integers(0, 80)),
)
def test_whenever_memory_is_short_everybody_ends(requests: list[tuple[int, int]], shortages: set[int]) -> None:
    device = Device(is_short=lambda step: device.num_steps in shortages)
    sequences = [Sequence((index,) * length, limit) for index, (length, limit) in enumerate(requests)]
    device.complete(*sequences)
    assert all(s in device.failed or len(s.completion) == s.max_new_tokens for s in sequences)
    assert device.scheduler.pool.num_free == device.scheduler.pool.num_usable
    assert max(device.prefills, default=0) <= MAX_TOKENS
