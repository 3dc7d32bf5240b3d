"""The worker's upkeep loop: sweeps the queue, logs throughput, and restarts a worker that has stopped consuming.

After a Redis outage a Celery worker can stay alive and never take a message again (celery discussions #7276, #10205).
It then looks like an idle worker next to a full queue. The watchdog ends such a process, and the supervisor starts a
new one.
"""

import logging
import time
from collections.abc import Callable

from sqlalchemy.exc import DBAPIError

from aftercall.broker import Broker
from aftercall.database_errors import describe
from aftercall.errors import BrokerError
from aftercall.logs import event
from aftercall.sweep import Sweeper
from worker.upkeep.periodic import Periodic

logger = logging.getLogger(__name__)


class ConsumerWatchdog:
    """Measures how long messages have waited while the worker was idle."""

    def __init__(self, stall_timeout_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._stall_timeout_s = stall_timeout_s
        self._clock = clock
        self._idle_since: float | None = None

    def is_stuck(self, num_messages: int, num_held: int) -> bool:
        """Whether messages have waited for longer than the timeout while nothing was held."""
        if num_messages == 0 or num_held > 0:
            self._idle_since = None
            return False
        if self._idle_since is None:
            self._idle_since = self._clock()
        return self._clock() - self._idle_since > self._stall_timeout_s


class ThroughputLog:
    """Logs once a minute how many conversations were done, unless there were none."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since = clock()
        self._num_logged = 0

    def update(self, num_done: int) -> None:
        """Call every few seconds with the number done so far."""
        passed_s = self._clock() - self._since
        if passed_s < 60:
            return
        if num_done > self._num_logged:
            num_new = num_done - self._num_logged
            fields = event("throughput", conversations=num_new, seconds=round(passed_s))
            logger.info("%d conversations done in the last %.0f s", num_new, passed_s, extra=fields)
        self._since += passed_s
        self._num_logged = num_done


class Upkeep:
    """One round every few seconds, until it is stopped."""

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
        self._loop = Periodic("upkeep", self._run, interval_s, is_immediate=True)
        self._watchdog = ConsumerWatchdog(stall_timeout_s=60.0)
        self._throughput = ThroughputLog()

    def start(self) -> None:
        """Start the loop in a thread of its own."""
        self._loop.start()

    def stop(self) -> None:
        """Start no further round."""
        self._loop.stop()

    def _run(self) -> None:
        try:
            self._round()
        except (BrokerError, DBAPIError) as error:
            said = describe(error) if isinstance(error, DBAPIError) else error
            logger.warning("upkeep waits: %s", said, extra=event("upkeep_waits"))

    def _round(self) -> None:
        self._throughput.update(self._num_done())
        swept = self._sweeper.sweep()
        if swept.num_expired or swept.num_lost:
            logger.warning(
                "sent again: %d jobs of workers without a heartbeat, %d lost messages",
                swept.num_expired,
                swept.num_lost,
                extra=event("sent_again", expired=swept.num_expired, lost=swept.num_lost),
            )
        if self._watchdog.is_stuck(self._broker.depth(), self._num_held()):
            logger.error(
                "messages are waiting but none arrives here: this worker exits and will be restarted",
                extra=event("consumer_stuck"),
            )
            self._on_stuck()
