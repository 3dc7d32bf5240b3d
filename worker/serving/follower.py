"""Follows the registry: a running worker serves a promoted or rolled-back adapter within seconds.

Asks which adapter is active, stages it in the background, and swaps it in when no engine call is under way. If the
adapter can't be served, the worker stays on the one it has.
"""

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from aftercall.errors import AdapterError
from aftercall.logs import event
from worker.serving.desired import DesiredAdapter, find_desired
from worker.serving.served import Serving
from worker.upkeep.periodic import Periodic

if TYPE_CHECKING:
    from worker.loading.load import ModelProvenance
    from worker.serving.hot_swap import LiveAdapter

logger = logging.getLogger(__name__)

#: A refused adapter may still be on its way to this machine, but hashing it every round would be a waste.
RETRY_S = 30.0

STOP_S = 5.0


class AdapterFollower:
    """Follows while its block runs.

    Args:
        on_served: called with what is served from now on.
        on_restart: ends this process cleanly, so that a fresh one loads the desired adapter.
    """

    def __init__(
        self,
        serving: Serving,
        database: Engine,
        on_served: Callable[["ModelProvenance"], None],
        on_restart: Callable[[], None],
        interval_s: float,
    ) -> None:
        self._serving = serving
        self._database = database
        self._on_served = on_served
        self._on_restart = on_restart
        self._loop = Periodic("adapter follower", self._check, interval_s)
        self._refused: DesiredAdapter | None = None
        self._retry_at = 0.0

    def __enter__(self) -> Self:
        # With a fixed adapter there is nothing to follow.
        if self._serving.now.live_adapter is not None:
            self._loop.start()
        return self

    def __exit__(self, *raised: object) -> None:
        # The database is about to be closed: let a running query finish first.
        self._loop.stop(STOP_S if self._serving.now.live_adapter is not None else 0.0)

    def _check(self) -> None:
        live_adapter = self._serving.now.live_adapter
        assert live_adapter is not None, "started without a live adapter"  # noqa: S101
        try:
            desired = find_desired(self._database, self._serving.now.provenance.base_model)
            if self._is_due(desired):
                self._follow(desired, live_adapter)
        except DBAPIError as error:
            logger.warning("the active adapter can't be looked up: %s", error.orig)
        except Exception:
            logger.exception(
                "the adapter swap failed; this worker ends and will be restarted", extra=event("swap_failed")
            )
            self._restart()

    def _is_due(self, desired: DesiredAdapter) -> bool:
        if desired.digest == self._serving.now.provenance.adapter_digest:
            self._refused = None
            return False
        return desired != self._refused or time.monotonic() >= self._retry_at

    def _follow(self, desired: DesiredAdapter, live_adapter: "LiveAdapter") -> None:
        # Imported here: it needs torch, which a worker without a live adapter may lack.
        from worker.adapters.lora import NotSwappableError

        try:
            staged = live_adapter.stage(desired.folder, desired.digest)
        except (AdapterError, OSError) as error:
            self._refuse(desired, error)
        except NotSwappableError as error:
            logger.warning(
                "adapter %s needs a fresh process, so this worker restarts: %s", _format_digest(desired.digest), error,
                extra=event("adapter_needs_restart", adapter=desired.digest),
            )  # fmt: skip
            self._restart()
        else:
            replaced = self._serving.now.provenance.adapter_digest
            pause = self._serving.swap(lambda: live_adapter.apply(staged))
            logger.info(
                "adapter %s is served in place of %s: drained in %.2f s, the engine was idle for %.1f ms",
                _format_digest(desired.digest), _format_digest(replaced), pause.drain_s, pause.idle_s * 1000,
                extra=event("adapter_swapped", adapter=desired.digest, replaced=replaced),
            )  # fmt: skip
            self._on_served(self._serving.now.provenance)

    def _refuse(self, desired: DesiredAdapter, error: Exception) -> None:
        """Log an adapter that can't be served, once, and plan the next try."""
        if desired != self._refused:
            served = _format_digest(self._serving.now.provenance.adapter_digest)
            refused = event("adapter_refused", adapter=desired.digest, served=served)
            logger.error(
                "adapter %s is active and cannot be served here, %s stays: %s",
                desired.digest, served, error, extra=refused,
            )  # fmt: skip
        self._refused = desired
        self._retry_at = time.monotonic() + RETRY_S

    def _restart(self) -> None:
        self._loop.stop()
        self._on_restart()


def _format_digest(digest: str) -> str:
    return digest or "none"
