"""Heartbeats for the jobs that this worker holds: each extends their leases."""

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from aftercall.database_errors import describe
from aftercall.ledger import work
from aftercall.logs import event
from worker.upkeep.periodic import Periodic

logger = logging.getLogger(__name__)

#: Heartbeats per lease: three may be missed before it expires.
BEATS_PER_LEASE = 4

#: Jobs in one statement: PostgreSQL takes 65,535 parameters, SQLite as few as 32,766, and 256 threads may hold 131,072.
MAX_JOBS = 10_000


class LeaseKeeper:
    """Extends the leases of all held jobs, those of every thread in one statement."""

    def __init__(self, database: Engine, lease: work.Lease) -> None:
        self.lease = lease
        self._database = database
        self._lock = threading.Lock()
        self._held: set[int] = set()
        Periodic("lease heartbeat", self._beat_all, lease.ttl_s / BEATS_PER_LEASE).start()

    @property
    def num_held(self) -> int:
        """How many jobs are held."""
        with self._lock:
            return len(self._held)

    @contextmanager
    def holding(self, job_ids: Sequence[int]) -> Iterator[None]:
        """Extend the leases of these jobs while the block runs."""
        with self._lock:
            self._held.update(job_ids)
        try:
            yield
        finally:
            with self._lock:
                self._held.difference_update(job_ids)

    def release_all(self) -> None:
        """Give every held job back untried. For a process that ends at once: its threads may not finish any more."""
        with self._lock:
            held = sorted(self._held)
        for start in range(0, len(held), MAX_JOBS):
            work.release(self._database, held[start : start + MAX_JOBS], self.lease.owner)

    def _beat_all(self) -> None:
        with self._lock:
            held = sorted(self._held)
        for start in range(0, len(held), MAX_JOBS):
            self._beat(held[start : start + MAX_JOBS])

    def _beat(self, job_ids: Sequence[int]) -> None:
        try:
            work.heartbeat(self._database, job_ids, self.lease)
        except DBAPIError as error:
            # The next one comes before the lease expires. A longer outage costs a second attempt, not a result.
            fields = event("no_lease_heartbeat", jobs=len(job_ids))
            logger.warning("no heartbeat for %d jobs: %s", len(job_ids), describe(error), extra=fields)
