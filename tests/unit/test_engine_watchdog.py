"""The engine watch: what counts as an engine that hangs, on a clock of the test's own."""

import threading
from contextlib import ExitStack

from tests.fixtures.workers import TIMEOUT_S
from worker.upkeep.engine_watchdog import EngineWatchdog


class Clock:
    """Shows what the test sets."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def make_watch() -> tuple[EngineWatchdog, Clock]:
    clock = Clock()
    return EngineWatchdog(timeout_s=60.0, clock=clock), clock


def test_an_engine_that_holds_work_and_is_silent_hangs() -> None:
    watch, clock = make_watch()
    with watch.calling([3, 1]), watch.calling([2]):
        clock.now_s += 60.0
        assert watch.hung_jobs() == []
        clock.now_s += 0.1
        assert watch.hung_jobs() == [1, 2, 3]


def test_an_engine_without_work_may_be_silent() -> None:
    watch, clock = make_watch()
    assert watch.hung_jobs() == []
    clock.now_s += 1_000.0
    with watch.calling([1]):
        assert watch.hung_jobs() == []
    clock.now_s += 1_000.0
    assert watch.hung_jobs() == []


def test_a_call_that_waits_while_others_are_answered_is_not_hung() -> None:
    watch, clock = make_watch()
    with watch.calling([1]):
        for job_id in range(2, 10):
            with watch.calling([job_id]):
                clock.now_s += 59.0
                assert watch.hung_jobs() == []


def test_new_calls_are_no_evidence_that_the_engine_works() -> None:
    watch, clock = make_watch()
    with ExitStack() as calls:
        for job_id in range(1, 4):
            calls.enter_context(watch.calling([job_id]))
            with watch.calling([]):
                clock.now_s += 25.0
        assert watch.hung_jobs() == [1, 2, 3]


def test_a_call_that_raises_is_over() -> None:
    watch, clock = make_watch()
    try:
        with watch.calling([1]):
            raise RuntimeError
    except RuntimeError:
        clock.now_s += 61.0
    assert watch.hung_jobs() == []


def test_the_jobs_are_told_once() -> None:
    watch, clock = make_watch()
    told: list[list[int]] = []
    is_told = threading.Event()
    with watch.calling([7]):
        clock.now_s += 61.0
        watch.start(lambda job_ids: (told.append(job_ids), is_told.set())[0])
        assert is_told.wait(TIMEOUT_S)
    assert told == [[7]]
