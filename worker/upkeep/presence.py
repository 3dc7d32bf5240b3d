"""The worker's own heartbeat: its row in the ledger says that it is alive and what it serves.

It begins before the model is loaded, which takes minutes. Leases of jobs are `leases`' business.
"""

import logging
import threading
from dataclasses import replace
from types import TracebackType
from typing import Self

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from aftercall.database_errors import describe
from aftercall.ledger import workers
from aftercall.ledger.workers import WorkerRecord
from worker.upkeep.periodic import Periodic

logger = logging.getLogger(__name__)

#: After a day, the row of a worker that was killed is of no use.
FORGOTTEN_AFTER_S = 86_400.0


class Presence:
    """Sends heartbeats while its block runs, and deletes the worker's row at the end.

    If the process is killed, the heartbeats stop and the row goes stale.
    """

    def __init__(self, database: Engine, worker: WorkerRecord) -> None:
        self._database = database
        self._worker = worker
        self._lock = threading.Lock()
        self._is_ended = False
        self._heartbeat = Periodic("worker heartbeat", self._tell, workers.HEARTBEAT_INTERVAL_S)

    def __enter__(self) -> Self:
        workers.forget(self._database, FORGOTTEN_AFTER_S)
        workers.seen(self._database, self._worker)
        self._heartbeat.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._heartbeat.stop()
        try:
            with self._lock:
                self._is_ended = True
                workers.gone(self._database, self._worker.name)
        except DBAPIError as away:
            logger.warning("this worker's row stays until it goes stale: %s", describe(away))

    def serve(self, base_model: str, adapter_digest: str) -> None:
        """Note, and tell at once, what the worker serves from now on."""
        self._worker = replace(self._worker, base_model=base_model, adapter_digest=adapter_digest)
        self._tell()

    def _tell(self) -> None:
        # Under the lock: a heartbeat after the end would leave a row for a worker that is gone.
        with self._lock:
            if self._is_ended:
                return
            try:
                workers.seen(self._database, self._worker)
            except DBAPIError as error:
                logger.warning("no worker heartbeat: %s", describe(error))
