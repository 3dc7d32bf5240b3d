"""Tells the ledger that this worker is alive and what it serves, in a thread of its own: loading a model takes minutes.

Knows no job: the leases of what is in hand are the lease keeper's.
"""

import logging
import threading
from dataclasses import replace
from types import TracebackType
from typing import Self

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from aftercall.ledger import workers
from aftercall.ledger.workers import WorkerRecord

logger = logging.getLogger(__name__)

#: The row of a worker that was killed is of no use to anybody after a day.
FORGOTTEN_AFTER_S = 86_400.0


class Presence:
    """Gives signs of life from the block's beginning to its end; after an orderly end the worker's row is gone.

    A daemon thread: with a process that is killed it ends too, and the row grows old.
    """

    def __init__(self, database: Engine, worker: WorkerRecord) -> None:
        self._database = database
        self._worker = worker
        self._lock = threading.Lock()
        self._is_ended = threading.Event()

    def __enter__(self) -> Self:
        workers.forget(self._database, FORGOTTEN_AFTER_S)
        workers.seen(self._database, self._worker)
        threading.Thread(target=self._run, name="presence", daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._is_ended.set()
        try:
            with self._lock:
                workers.gone(self._database, self._worker.name)
        except DBAPIError as away:
            logger.warning("this worker's row stays until it is too old: %s", away.orig)

    def serve(self, base_model: str, adapter_digest: str) -> None:
        """Note, and tell at once, what the worker serves from now on."""
        self._worker = replace(self._worker, base_model=base_model, adapter_digest=adapter_digest)
        self._tell()

    def _run(self) -> None:
        while not self._is_ended.wait(workers.SIGN_INTERVAL_S):
            self._tell()

    def _tell(self) -> None:
        # Under the lock: a sign that came after the end would leave a row for a worker that is gone.
        with self._lock:
            if self._is_ended.is_set():
                return
            try:
                workers.seen(self._database, self._worker)
            except DBAPIError as error:
                logger.warning("no sign of life: %s", error.orig)
