"""The worker's upkeep thread: sweeps the queue, says what was done, and ends a worker that has stopped consuming.

After a Redis outage a Celery worker can stay alive and never take a message again (celery discussions #7276, #10205).
From outside this looks like an idle worker beside a full queue; the watchdog sees the same and ends the process, and
the supervisor starts a fresh one.
"""

import logging
import threading
import time
from collections.abc import Callable

from sqlalchemy.exc import DBAPIError

from aftercall.broker import Broker
from aftercall.errors import BrokerError
from aftercall.sweep import Sweeper

logger = logging.getLogger(__name__)


class Watchdog:
    """Measures for how long messages have waited beside an idle worker."""

    def __init__(self, patience_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._patience_s = patience_s
        self._clock = clock
        self._idle_since: float | None = None

    def is_stuck(self, num_messages: int, num_held: int) -> bool:
        """Whether messages have waited for longer than the patience while nothing was held."""
        if num_messages == 0 or num_held > 0:
            self._idle_since = None
            return False
        if self._idle_since is None:
            self._idle_since = self._clock()
        return self._clock() - self._idle_since > self._patience_s


class Pace:
    """Says each minute how much was done in it; nothing of a minute in which nothing was."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since = clock()
        self._num_told = 0

    def tell(self, num_done: int) -> None:
        """To be called every few seconds."""
        passed_s = self._clock() - self._since
        if passed_s < 60:
            return
        if num_done > self._num_told:
            logger.info("%d conversations done in the last %.0f s", num_done - self._num_told, passed_s)
        self._since += passed_s
        self._num_told = num_done


class Upkeep:
    """Runs until told to stop. A daemon thread: it ends with the process."""

    def __init__(
        self,
        sweeper: Sweeper,
        broker: Broker,
        num_held: Callable[[], int],
        num_done: Callable[[], int],
        on_stuck: Callable[[], None],
        interval_s: float,
    ) -> None:
        self._sweeper = sweeper
        self._broker = broker
        self._num_held = num_held
        self._num_done = num_done
        self._on_stuck = on_stuck
        self._interval_s = interval_s
        self._watchdog = Watchdog(patience_s=60.0)
        self._pace = Pace()
        self._is_stopped = threading.Event()

    def start(self) -> None:
        """Begin, in a thread of its own."""
        threading.Thread(target=self._run, name="upkeep", daemon=True).start()

    def stop(self) -> None:
        """End after the round that is under way."""
        self._is_stopped.set()

    def _run(self) -> None:
        while not self._is_stopped.is_set():
            try:
                self._round()
            except (BrokerError, DBAPIError) as error:
                logger.warning("upkeep waits: %s", error.orig if isinstance(error, DBAPIError) else error)
            except Exception:
                # Nobody would see that this thread has ended, only that what is lost is not sent again.
                logger.exception("upkeep failed; the next round tries again")
            self._is_stopped.wait(self._interval_s)

    def _round(self) -> None:
        self._pace.tell(self._num_done())
        swept = self._sweeper.sweep()
        if swept.num_expired or swept.num_lost:
            logger.warning("sent again: %d jobs of silent workers, %d lost messages", swept.num_expired, swept.num_lost)
        if self._watchdog.is_stuck(self._broker.depth(), self._num_held()):
            logger.error("messages wait and none arrives here: this worker ends and is to be started again")
            self._on_stuck()
