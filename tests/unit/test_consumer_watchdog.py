"""The watchdog, on a clock of the test's own, and the upkeep thread when something nobody foresaw goes wrong."""

import threading

from tests.fixtures.workers import TIMEOUT_S
from worker.upkeep.sweep_loop import ConsumerWatchdog, Upkeep


class Clock:
    """Shows what the test sets."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def make_watchdog() -> tuple[ConsumerWatchdog, Clock]:
    clock = Clock()
    return ConsumerWatchdog(stall_timeout_s=60.0, clock=clock), clock


def test_messages_that_wait_beside_an_idle_worker_for_too_long_mean_stuck() -> None:
    watchdog, clock = make_watchdog()
    assert not watchdog.is_stuck(num_messages=5, num_held=0)
    clock.now_s = 60.0
    assert not watchdog.is_stuck(num_messages=5, num_held=0)
    clock.now_s = 60.1
    assert watchdog.is_stuck(num_messages=5, num_held=0)


def test_an_empty_queue_or_held_work_starts_the_count_again() -> None:
    for num_messages, num_held in ((0, 0), (5, 1)):
        watchdog, clock = make_watchdog()
        watchdog.is_stuck(num_messages=5, num_held=0)
        clock.now_s = 59.0
        assert not watchdog.is_stuck(num_messages, num_held)
        clock.now_s = 118.0
        assert not watchdog.is_stuck(num_messages=5, num_held=0)
        clock.now_s = 178.1
        assert watchdog.is_stuck(num_messages=5, num_held=0)


class FailingSweeper:
    """Fails in a way that nobody foresaw, the first two times."""

    def __init__(self) -> None:
        self.num_sweeps = 0
        self.has_recovered = threading.Event()

    def sweep(self) -> None:
        self.num_sweeps += 1
        if self.num_sweeps < 3:
            raise ZeroDivisionError
        self.has_recovered.set()


def test_upkeep_goes_on_after_an_error_that_nobody_foresaw() -> None:
    sweeper = FailingSweeper()
    upkeep = Upkeep(sweeper, None, lambda: 0, lambda: 0, lambda: None, interval_s=0.001)  # type: ignore[arg-type]
    upkeep.start()

    assert sweeper.has_recovered.wait(TIMEOUT_S)
    upkeep.stop()
