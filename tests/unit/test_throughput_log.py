"""How a worker says what it has done: a line a minute at most."""

import logging
import threading

import pytest

from aftercall.errors import BrokerError
from tests.fixtures.workers import TIMEOUT_S
from tests.unit.test_consumer_watchdog import Clock
from worker.upkeep.sweep_loop import ThroughputLog, Upkeep


@pytest.fixture(autouse=True)
def at_info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "worker")


def test_each_minute_tells_what_was_done_in_it(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    log = ThroughputLog(clock)
    for clock.now_s, num_done in ((59.0, 50), (61.0, 57), (62.0, 60), (121.0, 80)):
        log.update(num_done)
    assert caplog.messages == ["57 conversations done in the last 61 s", "23 conversations done in the last 60 s"]


def test_a_minute_without_work_is_not_told_and_is_not_counted_to_the_next(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    log = ThroughputLog(clock)
    for clock.now_s in range(0, 3600, 2):
        log.update(0)
    assert caplog.messages == []
    for clock.now_s in range(3600, 3662, 2):
        log.update(5)
    assert caplog.messages == ["5 conversations done in the last 60 s"]


def test_the_upkeep_tells_it_also_while_redis_is_away(caplog: pytest.LogCaptureFixture) -> None:
    class AwaySweeper:
        def sweep(self) -> None:
            is_swept.set()
            raise BrokerError("Redis is away")

    is_swept = threading.Event()
    clock = Clock()
    upkeep = Upkeep(AwaySweeper(), None, lambda: 0, lambda: 7, lambda: None, interval_s=0.001)  # type: ignore[arg-type]
    upkeep._throughput = ThroughputLog(clock)
    clock.now_s = 60.0
    upkeep.start()
    assert is_swept.wait(TIMEOUT_S)
    upkeep.stop()
    assert caplog.messages[0] == "7 conversations done in the last 60 s"
