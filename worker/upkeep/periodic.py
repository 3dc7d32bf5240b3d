"""A function that is called again and again in a daemon thread: the one shape of the worker's background loops."""

import logging
import threading
from collections.abc import Callable

logger = logging.getLogger(__name__)


class Periodic:
    """Calls `action` every `interval_s` seconds until it is stopped. The thread ends with the process.

    An action that raises is logged and called again: a background loop that died would go unnoticed until the jobs
    it looks after are lost.
    """

    def __init__(self, name: str, action: Callable[[], None], interval_s: float, *, is_immediate: bool = False) -> None:
        self._action = action
        self._interval_s = interval_s
        self._is_immediate = is_immediate
        self._is_stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin: with the first call at once if it is immediate, else after one interval."""
        self._thread.start()

    def stop(self, join_s: float = 0.0) -> None:
        """Make no further call; wait up to `join_s` seconds for one under way. May be called by the action itself."""
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
            logger.exception("%s failed; it is tried again in %g s", self._thread.name, self._interval_s)
