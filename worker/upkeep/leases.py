"""Keeps the leases of what this worker holds, in a thread of its own."""

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from aftercall.ledger import work

logger = logging.getLogger(__name__)

#: Heartbeats a lease: three may go missing before it runs out.
BEATS_PER_LEASE = 4

#: Jobs in one statement: PostgreSQL takes 65,535 parameters, SQLite as few as 32,766, and 256 threads may hold 131,072.
MAX_JOBS = 10_000


class LeaseKeeper:
    """Extends the leases of all chunks in hand, several threads' at once. A daemon thread: it ends with the process."""

    def __init__(self, database: Engine, lease: work.Lease) -> None:
        self.lease = lease
        self._database = database
        self._lock = threading.Lock()
        self._held: set[int] = set()
        threading.Thread(target=self._run, name="lease-keeper", daemon=True).start()

    @property
    def num_held(self) -> int:
        """How many jobs are in hand."""
        with self._lock:
            return len(self._held)

    @contextmanager
    def holding(self, job_ids: Sequence[int]) -> Iterator[None]:
        """Keep the leases of these jobs for as long as the block runs."""
        with self._lock:
            self._held.update(job_ids)
        try:
            yield
        finally:
            with self._lock:
                self._held.difference_update(job_ids)

    def _run(self) -> None:
        while True:
            time.sleep(self.lease.ttl_s / BEATS_PER_LEASE)
            with self._lock:
                held = sorted(self._held)
            for start in range(0, len(held), MAX_JOBS):
                self._beat(held[start : start + MAX_JOBS])

    def _beat(self, job_ids: Sequence[int]) -> None:
        try:
            work.heartbeat(self._database, job_ids, self.lease)
        except DBAPIError as error:
            # The next beat comes before the lease runs out; a longer outage costs a second attempt, not a result.
            logger.warning("no heartbeat for %d jobs: %s", len(job_ids), error.orig)
