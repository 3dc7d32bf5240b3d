"""Detects an engine that holds conversations and finishes none of them.

A hung call raises nothing: its threads wait, its leases are extended, and the queue stands still. What counts is the
time since the engine last answered any call. How long one call takes depends on how many there are.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from worker.upkeep.periodic import Periodic


class EngineWatchdog:
    """Watches the calls of several threads."""

    def __init__(self, timeout_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._timeout_s = timeout_s
        self._clock = clock
        self._lock = threading.Lock()
        self._in_hand: set[int] = set()
        #: When a call last returned, or began with no other under way.
        self._last_answer = 0.0

    @contextmanager
    def calling(self, job_ids: Sequence[int]) -> Iterator[None]:
        """These jobs are in the engine for as long as the block runs."""
        with self._lock:
            if not self._in_hand:
                self._last_answer = self._clock()
            self._in_hand.update(job_ids)
        try:
            yield
        finally:
            with self._lock:
                # A chunk with nothing left to do has not been in the engine, and says nothing of it.
                if job_ids:
                    self._last_answer = self._clock()
                self._in_hand.difference_update(job_ids)

    def hung_jobs(self) -> list[int]:
        """What the engine has in hand, if it has been silent for too long."""
        with self._lock:
            silent_s = self._clock() - self._last_answer
            return sorted(self._in_hand) if silent_s > self._timeout_s else []

    def start(self, on_hung: Callable[[list[int]], None]) -> None:
        """Call `on_hung` once, with the jobs, when the engine hangs."""

        def check() -> None:
            if job_ids := self.hung_jobs():
                loop.stop()
                on_hung(job_ids)

        loop = Periodic("engine watchdog", check, min(1.0, self._timeout_s / 10))
        loop.start()
