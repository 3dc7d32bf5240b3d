"""The worker's own heartbeat: its row in the ledger says that it is alive and what it serves.

It starts before the model is loaded, which can take minutes. The heartbeats of jobs are in `leases`.
"""

import logging
import threading
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Self

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from aftercall.database_errors import describe
from aftercall.ledger import workers
from aftercall.ledger.workers import WorkerRecord
from aftercall.logs import event
from worker.upkeep.periodic import Periodic

if TYPE_CHECKING:
    from worker.loading.load import ModelProvenance

logger = logging.getLogger(__name__)

#: The row of a killed worker is deleted after a day.
DELETE_AFTER_S = 86_400.0


class Presence:
    """Sends heartbeats while its block runs, and deletes the worker's row at the end.

    If the process is killed, the heartbeats stop and the row goes stale.
    """

    def __init__(self, database: Engine, worker: WorkerRecord) -> None:
        self._database = database
        self._worker = worker
        self._lock = threading.Lock()
        self._has_ended = False
        self._heartbeat = Periodic("worker heartbeat", self._beat, workers.HEARTBEAT_INTERVAL_S)

    def __enter__(self) -> Self:
        workers.delete_stale(self._database, DELETE_AFTER_S)
        workers.record_heartbeat(self._database, self._worker)
        self._heartbeat.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._heartbeat.stop()
        try:
            with self._lock:
                self._has_ended = True
                workers.remove(self._database, self._worker.name)
        except DBAPIError as away:
            stays = event("presence_stays")
            logger.warning("this worker's row stays until it goes stale: %s", describe(away), extra=stays)

    def serve(self, provenance: "ModelProvenance") -> None:
        """Record what the worker serves from now on, with a heartbeat at once."""
        self._worker = replace(
            self._worker,
            base_model=provenance.base_model,
            adapter_digest=provenance.adapter_digest,
            quantization=provenance.quantization,
            compute_dtype=provenance.dtype,
        )
        self._beat()

    def _beat(self) -> None:
        # Under the lock: a heartbeat after the end would restore the row that was just deleted.
        with self._lock:
            if self._has_ended:
                return
            try:
                workers.record_heartbeat(self._database, self._worker)
            except DBAPIError as error:
                logger.warning("no worker heartbeat: %s", describe(error), extra=event("no_heartbeat"))
