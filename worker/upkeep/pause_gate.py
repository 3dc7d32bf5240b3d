"""Holds chunks back while the ledger is paused. Their messages stay with this worker, unclaimed."""

import threading
import time
from collections.abc import Callable


class PauseGate:
    """Several threads wait here. One of them looks at the ledger for all."""

    def __init__(self, is_paused: Callable[[], bool], interval_s: float) -> None:
        self._is_paused = is_paused
        self._interval_s = interval_s
        self._is_stopping = threading.Event()
        self._lock = threading.Lock()
        self._last_answer = False
        self._asked_at = 0.0
        self._num_waiting = 0

    @property
    def num_waiting(self) -> int:
        """How many chunks wait."""
        with self._lock:
            return self._num_waiting

    def stop(self) -> None:
        """End the waiting: the process ends."""
        self._is_stopping.set()

    def wait(self) -> bool:
        """Wait for the end of the pause. False if it still lasts, because this process ends."""
        with self._lock:
            self._num_waiting += 1
        try:
            while self._ask():
                if self._is_stopping.wait(self._interval_s):
                    return False
            return True
        finally:
            with self._lock:
                self._num_waiting -= 1

    def _ask(self) -> bool:
        with self._lock:
            now = time.monotonic()
            # "Not paused" is never taken from an earlier answer: the caller has just learnt otherwise.
            if not self._last_answer or now - self._asked_at >= self._interval_s:
                self._last_answer = self._is_paused()
                self._asked_at = now
            return self._last_answer
