"""What the web pages remember, and for how long."""

import threading
import time

from producer.web.state import Memory
from tests.fixtures.workers import wait_until


def test_what_took_long_is_remembered_and_what_was_quick_is_not() -> None:
    memory = Memory()
    gathered: list[str] = []

    def gather(name: str, cost_s: float) -> int:
        gathered.append(name)
        time.sleep(cost_s)
        return len(gathered)

    assert memory.recall("slow", lambda: gather("slow", 0.2)) == 1
    assert memory.recall("slow", lambda: gather("slow", 0.2)) == 1
    memory.recall("quick", lambda: gather("quick", 0.0))
    time.sleep(0.02)
    memory.recall("quick", lambda: gather("quick", 0.0))
    assert gathered == ["slow", "quick", "quick"]
    memory.forget()
    assert memory.recall("slow", lambda: gather("slow", 0.0)) == 4


def test_many_who_want_the_same_gather_it_once_and_hold_up_no_other() -> None:
    memory = Memory()
    release = threading.Event()
    gathered: list[int] = []

    def gather() -> int:
        gathered.append(1)
        release.wait(60)
        time.sleep(0.2)
        return 7

    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(memory.recall("slow", gather))) for _ in range(5)]
    for thread in threads:
        thread.start()
    wait_until(lambda: gathered, "the first gathers")
    assert memory.recall("other", lambda: 1) == 1
    assert found == []
    release.set()
    for thread in threads:
        thread.join(60)
    assert (found, len(gathered)) == ([7] * 5, 1)


def test_a_failure_is_not_remembered() -> None:
    memory = Memory()

    def fail() -> int:
        raise ValueError

    for _ in range(2):
        try:
            memory.recall("broken", fail)
        except ValueError:
            continue
        raise AssertionError("the failure was swallowed")
    assert memory.recall("broken", lambda: 3) == 3
