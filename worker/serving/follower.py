"""Follows the registry: a promotion or rollback is served by a running worker within seconds, between two batches.

Looks which adapter is wanted, has it read and checked beside the engine's work, and exchanges it when no call is under
way. An adapter that cannot be served leaves the worker on the one it has. Knows the order of these steps; what an
adapter is, and how weights are written, is others'.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from aftercall.errors import AdapterError
from worker.serving.desired import Wanted, find_wanted
from worker.serving.served import Serving

if TYPE_CHECKING:
    from worker.serving.hot_swap import LiveAdapter

logger = logging.getLogger(__name__)

#: An adapter that was refused may still be on its way to this machine. Hashing it again and again is no use.
RETRY_S = 30.0

STOP_S = 5.0


class AdapterFollower:
    """Follows while its block runs, in a daemon thread: that ends with the process.

    Args:
        on_served: told the base model and the digest of the adapter that is served from now on.
        on_restart: ends this process in order, so that a fresh one loads the wanted adapter.
    """

    def __init__(
        self,
        serving: Serving,
        database: Engine,
        on_served: Callable[[str, str], None],
        on_restart: Callable[[], None],
        interval_s: float,
    ) -> None:
        self._serving = serving
        self._database = database
        self._on_served = on_served
        self._on_restart = on_restart
        self._interval_s = interval_s
        self._refused: Wanted | None = None
        self._retry_at = 0.0
        self._is_stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="adapter", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._is_stopped.set()
        # The database is about to be closed: a query under way may end before.
        self._thread.join(STOP_S)

    def _run(self) -> None:
        live_adapter = self._serving.now.live_adapter
        # Where the adapter is fixed there is nothing to follow.
        while live_adapter is not None and not self._is_stopped.wait(self._interval_s):
            try:
                wanted = find_wanted(self._database, self._serving.now.provenance.base_model)
                if self._is_news(wanted):
                    self._follow(wanted, live_adapter)
            except DBAPIError as error:
                logger.warning("which adapter is active cannot be seen: %s", error.orig)
            except Exception:
                logger.exception("the adapter could not be exchanged; this worker ends and is to be started again")
                self._restart()

    def _is_news(self, wanted: Wanted) -> bool:
        if wanted.digest == self._serving.now.provenance.adapter_digest:
            self._refused = None
            return False
        return wanted != self._refused or time.monotonic() >= self._retry_at

    def _follow(self, wanted: Wanted, live_adapter: "LiveAdapter") -> None:
        # Imported here: whoever has a live adapter has torch, and only then.
        from worker.adapters.lora import NotExchangeableError

        try:
            prepared = live_adapter.prepare(wanted.folder, wanted.digest)
        except (AdapterError, OSError) as error:
            self._refuse(wanted, error)
        except NotExchangeableError as error:
            logger.warning("adapter %s needs a fresh process, which is to be started: %s", _spell(wanted.digest), error)
            self._restart()
        else:
            left = self._serving.now.provenance.adapter_digest
            pause = self._serving.exchange(lambda: live_adapter.exchange(prepared))
            logger.info(
                "adapter %s is served in place of %s: drained in %.2f s, the engine was idle for %.1f ms",
                _spell(wanted.digest), _spell(left), pause.drain_s, pause.idle_s * 1000,
            )  # fmt: skip
            self._on_served(self._serving.now.provenance.base_model, wanted.digest)

    def _refuse(self, wanted: Wanted, error: Exception) -> None:
        """Say it loudly, but not every few seconds."""
        if wanted != self._refused:
            served = _spell(self._serving.now.provenance.adapter_digest)
            logger.error("adapter %s is active and cannot be served here, %s stays: %s", wanted.digest, served, error)
        self._refused = wanted
        self._retry_at = time.monotonic() + RETRY_S

    def _restart(self) -> None:
        self._is_stopped.set()
        self._on_restart()


def _spell(digest: str) -> str:
    return digest or "none"
