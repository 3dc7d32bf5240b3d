"""The scheduler's promises, whatever comes: nobody starves, no budget is exceeded, nothing is held twice."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from worker.engine.memory.pages import SCRATCH_PAGE, PagePool
from worker.engine.scheduler import Limits, Scheduler, Step
from worker.engine.sequence import Sequence

PAGE_SIZE = 4
MAX_MODEL_LEN = 40


@dataclass(frozen=True)
class Load:
    """What comes in and what there is for it."""

    limits: Limits
    num_pages: int
    #: Prompt tokens, completion tokens at most, and completion tokens in fact.
    requests: list[tuple[int, int, int]]


@st.composite
def loads(draw: st.DrawFn) -> Load:
    max_num_batched_tokens = draw(st.integers(MAX_MODEL_LEN, 120))
    limits = Limits(
        max_num_seqs=draw(st.integers(1, 6)),
        max_num_batched_tokens=max_num_batched_tokens,
        min_prefill_tokens=draw(st.integers(1, max_num_batched_tokens)),
    )
    requests = []
    for _ in range(draw(st.integers(1, 25))):
        length, limit = draw(st.integers(1, 28)), draw(st.integers(1, 12))
        requests.append((length, limit, draw(st.integers(1, limit))))
    # One sequence of full length fits, as the runner makes sure; more only by chance.
    return Load(limits, draw(st.integers(MAX_MODEL_LEN // PAGE_SIZE + 1, 60)), requests)


class Simulation:
    """Runs a load to its end, checking every step; the device may be some steps ahead of the host."""

    def __init__(self, load: Load, lag: int) -> None:
        self.load = load
        self.lag = lag
        self.pool = PagePool(load.num_pages, PAGE_SIZE)
        self.scheduler = Scheduler(load.limits, self.pool)
        self.targets: dict[Sequence, int] = {}
        self.admitted: list[Sequence] = []
        self.num_steps = 0
        for length, limit, target in load.requests:
            sequence = Sequence(tuple(range(length)), limit)
            self.targets[sequence] = target
            self.scheduler.add(sequence)

    def run(self) -> None:
        in_flight: list[Step] = []
        while self.scheduler.has_work or in_flight:
            step = self.scheduler.schedule()
            if step is not None:
                self.check(step)
                in_flight.append(step)
            assert in_flight, "work is left, but none of it is scheduled"
            if step is None or len(in_flight) > self.lag:
                self.collect(in_flight.pop(0))
            self.num_steps += 1
            assert self.num_steps < 5000, "it never ends"

    def check(self, step: Step) -> None:
        limits = self.load.limits
        running = list(self.scheduler.running)
        assert len(running) <= limits.max_num_seqs
        assert len({sequence.row for sequence in running}) == len(running)
        pages = [page for sequence in running for page in sequence.pages]
        assert len(set(pages)) == len(pages)
        assert SCRATCH_PAGE not in pages
        assert all(sequence.num_cached <= len(sequence.pages) * PAGE_SIZE for sequence in step.sequences)
        # What a step feeds and what has yet to arrive is one sequence of tokens without a gap.
        assert all(s.num_cached == s.num_tokens + s.num_in_flight - 1 for s in step.sequences)
        if step.is_prefill:
            read = [sequence for sequence in step.sequences if sequence.read_with is None]
            assert sum(sequence.num_tokens for sequence in read) <= limits.max_num_batched_tokens
            for sequence in step.sequences:
                assert sequence.read_with is None or sequence.read_with in read
                assert sequence.read_with is None or sequence.read_with.tokens == sequence.tokens
            self.admitted += [s for s in step.sequences if s not in self.admitted]

    def collect(self, step: Step) -> None:
        for sequence in step.sequences:
            sequence.receive(0)
            if sequence.is_finished:
                continue
            assert len(sequence.completion) <= sequence.max_new_tokens
            if len(sequence.completion) == self.targets[sequence]:
                sequence.finish_reason = "stop"
                self.scheduler.finish(sequence)


@given(load=loads(), lag=st.integers(0, 3))
def test_every_sequence_ends_within_budget(load: Load, lag: int) -> None:
    simulation = Simulation(load, lag)
    simulation.run()
    assert all(len(s.completion) == target for s, target in simulation.targets.items())


@given(load=loads(), lag=st.integers(0, 3))
def test_everything_held_is_given_back(load: Load, lag: int) -> None:
    simulation = Simulation(load, lag)
    simulation.run()
    assert simulation.pool.num_free == simulation.pool.num_usable
    assert not simulation.scheduler.running


@given(load=loads(), lag=st.integers(0, 3))
def test_first_come_first_admitted(load: Load, lag: int) -> None:
    simulation = Simulation(load, lag)
    simulation.run()
    assert simulation.admitted == list(simulation.targets)


def scheduler_of(num_pages: int, max_num_seqs: int = 8, min_prefill_tokens: int = 40) -> Scheduler:
    limits = Limits(max_num_seqs, max_num_batched_tokens=40, min_prefill_tokens=min_prefill_tokens)
    return Scheduler(limits, PagePool(num_pages, PAGE_SIZE))


def advance(scheduler: Scheduler) -> Step:
    step = scheduler.schedule()
    assert step is not None
    for sequence in step.sequences:
        sequence.receive(0)
    return step


def test_the_newest_makes_room_and_comes_back_with_its_completion() -> None:
    scheduler = scheduler_of(num_pages=6)
    oldest, newest = Sequence((0,) * 8, 12), Sequence((0,) * 8, 12)
    scheduler.add(oldest)
    scheduler.add(newest)
    assert advance(scheduler).sequences == (oldest, newest)
    assert advance(scheduler).sequences == (oldest,)
    assert list(scheduler.waiting) == [newest]
    while not oldest.is_fully_scheduled:
        assert newest not in advance(scheduler).sequences
    scheduler.finish(oldest)
    resumed = advance(scheduler)
    assert (resumed.is_prefill, resumed.sequences) == (True, (newest,))
    assert newest.num_cached == 9


def test_equal_prompts_in_a_row_are_read_once() -> None:
    scheduler = scheduler_of(num_pages=100)
    first, second, other, third = (Sequence((token,) * 30, 5) for token in (1, 1, 2, 1))
    for sequence in (first, second, other, third):
        scheduler.add(sequence)
    assert advance(scheduler).sequences == (first, second), "the third is over the budget of 40 tokens"
    assert (first.read_with, second.read_with) == (None, first)
    assert not set(first.pages) & set(second.pages)
    assert advance(scheduler).sequences == (other,)
    assert advance(scheduler).sequences == (third,)
    assert third.read_with is None


def test_a_prefill_waits_until_it_is_worth_a_step() -> None:
    scheduler = scheduler_of(num_pages=100, max_num_seqs=16, min_prefill_tokens=20)
    for _ in range(40):
        scheduler.add(Sequence((0,) * 5, 6))
    while not (step := advance(scheduler)).is_prefill or len(scheduler.running) < 16:
        pass
    scheduler.finish(step.sequences[0])
    assert not advance(scheduler).is_prefill
    scheduler.finish(step.sequences[1])
    assert advance(scheduler).is_prefill


def test_after_running_out_of_memory_half_is_tried() -> None:
    scheduler = scheduler_of(num_pages=100)
    sequences = [Sequence((index,) * 10, 5) for index in range(4)]
    for sequence in sequences:
        scheduler.add(sequence)
    step = scheduler.schedule()
    assert step is not None
    assert step.sequences == tuple(sequences)
    assert scheduler.shrink(step)
    assert list(scheduler.waiting) == sequences
    half = scheduler.schedule()
    assert half is not None
    assert half.sequences == tuple(sequences[:2])


def test_one_sequence_cannot_be_halved() -> None:
    scheduler = scheduler_of(num_pages=100)
    scheduler.add(Sequence((0,) * 10, 5))
    step = scheduler.schedule()
    assert step is not None
    assert not scheduler.shrink(step)
