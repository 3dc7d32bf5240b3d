"""Detects an engine that holds conversations and finishes none of them.

A hung call raises nothing: its threads wait, its leases are extended, and the queue stands still. The watchdog measures
the time since the engine last answered any call. The duration of one call would be a worse sign, because it grows with
the number of concurrent calls.
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
        self._held: set[int] = set()
        #: When a call last returned, or began while no other was running.
        self._last_answer = 0.0

    @contextmanager
    def calling(self, job_ids: Sequence[int]) -> Iterator[None]:
        """Count these jobs as held by the engine while the block runs."""
        with self._lock:
            if not self._held:
                self._last_answer = self._clock()
            self._held.update(job_ids)
        try:
            yield
        finally:
            with self._lock:
                # An empty call never reached the engine, so it is no evidence that the engine works.
                if job_ids:
                    self._last_answer = self._clock()
                self._held.difference_update(job_ids)

    def hung_jobs(self) -> list[int]:
        """The jobs that the engine holds if it has not answered within the timeout; else none."""
        with self._lock:
            unanswered_s = self._clock() - self._last_answer
            return sorted(self._held) if unanswered_s > self._timeout_s else []

    def start(self, on_hung: Callable[[list[int]], None]) -> None:
        """Call `on_hung` once, with the jobs, when the engine hangs."""

        def check() -> None:
            if job_ids := self.hung_jobs():
                loop.stop()
                on_hung(job_ids)

        loop = Periodic("engine watchdog", check, min(1.0, self._timeout_s / 10))
        loop.start()
