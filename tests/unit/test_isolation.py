"""Chunks in the engine together, and one conversation alone."""

import threading
from contextlib import AbstractContextManager

from tests.fixtures.workers import TIMEOUT_S, wait_until
from worker.serving.isolation import Isolation


class Visitor(threading.Thread):
    """Goes in, says so, and stays until it is let go."""

    def __init__(self, door: AbstractContextManager[None]) -> None:
        super().__init__(daemon=True)
        self._door = door
        self.is_inside = threading.Event()
        self.may_leave = threading.Event()
        self.start()

    def run(self) -> None:
        with self._door:
            self.is_inside.set()
            self.may_leave.wait()

    def leave(self) -> None:
        self.may_leave.set()
        self.join(TIMEOUT_S)


def test_chunks_are_inside_together() -> None:
    isolation = Isolation()
    visitors = [Visitor(isolation.together()) for _ in range(3)]
    assert all(visitor.is_inside.wait(TIMEOUT_S) for visitor in visitors)
    for visitor in visitors:
        visitor.leave()


def test_one_that_wants_to_be_alone_waits_for_those_inside_and_keeps_others_out() -> None:
    isolation = Isolation()
    first = Visitor(isolation.together())
    assert first.is_inside.wait(TIMEOUT_S)
    loners = [Visitor(isolation.alone()) for _ in range(2)]
    wait_until(lambda: isolation._num_exclusive == 2, "both at the door before the late one")
    assert not any(loner.is_inside.wait(0.05) for loner in loners)
    late = Visitor(isolation.together())
    assert not late.is_inside.wait(0.05)

    first.leave()
    while any(loner.is_alive() for loner in loners):
        inside = [loner for loner in loners if loner.is_alive() and loner.is_inside.wait(0.01)]
        assert len(inside) <= 1
        assert not late.is_inside.is_set()
        for loner in inside:
            loner.leave()
    assert late.is_inside.wait(TIMEOUT_S)
    late.leave()
