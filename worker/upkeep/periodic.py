"""Calls a function at intervals in a daemon thread. All background loops of a worker use it."""

import logging
import threading
from collections.abc import Callable

from aftercall.logs import event

logger = logging.getLogger(__name__)


class Periodic:
    """Calls `action` every `interval_s` seconds until it is stopped. The thread ends with the process.

    If the action raises, the error is logged and the loop goes on: a dead heartbeat or sweep would go unnoticed
    until jobs are lost.
    """

    def __init__(self, name: str, action: Callable[[], None], interval_s: float, *, is_immediate: bool = False) -> None:
        self._action = action
        self._interval_s = interval_s
        self._is_immediate = is_immediate
        self._is_stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread. The first call comes at once if `is_immediate`, else after one interval."""
        self._thread.start()

    def stop(self, join_s: float = 0.0) -> None:
        """Make no further call; wait up to `join_s` seconds for a running one. The action itself may call this."""
        self._is_stopped.set()
        if join_s:
            self._thread.join(join_s)

    def _run(self) -> None:
        if self._is_immediate:
            self._call()
        while not self._is_stopped.wait(self._interval_s):
            self._call()

    def _call(self) -> None:
        try:
            self._action()
        except Exception:
            fields = event("loop_failed", loop=self._thread.name, retry_s=self._interval_s)
            logger.exception("%s failed; next try in %g s", self._thread.name, self._interval_s, extra=fields)
