"""Writes what became of jobs, whatever the database does: kept on disk while it is away, split where it refuses.

Knows the ledger and the spool; knows no model, no engine and no message.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from aftercall.ledger import work
from aftercall.ledger.work import JobFailure, SummaryRecord
from aftercall.settings import Settings
from worker.jobs.spool import Finished, Spool

logger = logging.getLogger(__name__)

#: Waits between tries to reach a database that is away; the last one repeats.
RETRY_WAITS_S = (0.5, 1.0, 2.0, 5.0)

Returned = TypeVar("Returned")


@dataclass(frozen=True, slots=True)
class Untried:
    """A job that goes back to the queue; its attempt does not count."""

    job_id: int


Outcome = Finished | JobFailure | Untried


class Recorder:
    """Used by several threads at once."""

    def __init__(self, database: Engine, owner: str, settings: Settings) -> None:
        self._database = database
        self._owner = owner
        self._settings = settings
        self._spool = Spool(settings.spool_dir)
        self._is_stopping = threading.Event()
        self._lock = threading.Lock()
        self._num_done = 0

    @property
    def num_done(self) -> int:
        """How many summaries this process wrote."""
        with self._lock:
            return self._num_done

    def stop(self) -> None:
        """Wait no longer for a database that is away."""
        self._is_stopping.set()

    def replay_spool(self) -> None:
        """Write what an earlier process finished while the database was away."""
        for path, finished in self._spool.files():
            num_written = self.retry_until_available(partial(self._store_late, finished))
            self._spool.drop(path)
            logger.info("wrote %d summaries from the spool", num_written)

    def write(self, outcomes: Sequence[Outcome]) -> None:
        """Summaries first, then what goes back untried, then failures."""
        self._complete([outcome for outcome in outcomes if isinstance(outcome, Finished)])
        untried = [outcome.job_id for outcome in outcomes if isinstance(outcome, Untried)]
        if untried:
            self.release(untried)
        for outcome in outcomes:
            if isinstance(outcome, JobFailure):
                self._fail(outcome)

    def release(self, job_ids: Sequence[int]) -> None:
        """Give jobs back untried."""
        self.retry_until_available(lambda: work.release(self._database, job_ids, self._owner))

    def record(self, failure: JobFailure) -> None:
        """Count a failed attempt. Raises DBAPIError while the database is away."""
        work.fail(self._database, failure, self._owner, self._settings.max_attempts, self._settings.retry_delay_s)

    def retry_until_available(self, statement: Callable[[], Returned]) -> Returned:
        """Run a statement until the database takes it. Gives up, raising DBAPIError, only when the worker stops."""
        waits = iter(RETRY_WAITS_S)
        wait_s = 0.0
        while True:
            try:
                return statement()
            except DBAPIError as error:
                wait_s = next(waits, wait_s)
                logger.warning("database away (%s): next try in %g s", error.orig, wait_s)
                if self._is_stopping.wait(wait_s):
                    raise

    def _complete(self, finished: Sequence[Finished]) -> None:
        """Write summaries; while the database is away, keep them on disk and hold the work back."""
        try:
            num_done = self._store([each.summary for each in finished])
        except DBAPIError as error:
            path = self._keep(finished)
            logger.warning("database away (%s): %d summaries wait in %s", error.orig, len(finished), path or "memory")
            num_done = self.retry_until_available(lambda: self._store_own(finished))
            if path is not None:
                self._spool.drop(path)
        with self._lock:
            self._num_done += num_done

    def _keep(self, finished: Sequence[Finished]) -> Path | None:
        """The file in which the summaries wait; None if the disk has no room for it, as where the database lies too."""
        try:
            return self._spool.keep(finished)
        except OSError as error:
            logger.warning("no room for the spool (%s): should this worker die now, its work is done again", error)
            return None

    def _store_late(self, finished: Sequence[Finished]) -> int:
        """Write what the ledger does not have from this adapter yet, and say how many.

        What it has may be queued since to be done again, by another adapter: to store the old one once more would be
        to take that for done.
        """
        stored = work.find_stored(self._database, [each.summary.job_id for each in finished])
        return self._store_own(
            [each for each in finished if (each.summary.job_id, each.summary.adapter_digest) not in stored]
        )

    def _store_own(self, finished: Sequence[Finished]) -> int:
        """Write what is of this ledger's conversations, and say how many: what was away may have come back older."""
        own = work.find_own(self._database, {each.summary.job_id: each.job_key for each in finished})
        summaries = [each.summary for each in finished if each.summary.job_id in own]
        if num_foreign := len(finished) - len(summaries):
            logger.warning("%d summaries are of conversations that this ledger does not have: dropped", num_foreign)
        return self._store(summaries)

    def _store(self, summaries: Sequence[SummaryRecord]) -> int:
        """Write summaries, and say how many; one that the database would refuse for ever fails alone."""
        try:
            work.complete(self._database, summaries)
        except (DataError, IntegrityError) as error:
            if len(summaries) > 1:
                return sum(self._store([summary]) for summary in summaries)
            reason = f"the database refuses the summary: {error.orig}"
            logger.warning("job %d: %s", summaries[0].job_id, reason)
            self.record(JobFailure(summaries[0].job_id, "unstorable_summary", reason))
            return 0
        return len(summaries)

    def _fail(self, failure: JobFailure) -> None:
        logger.warning("job %d: %s: %s", failure.job_id, failure.code, failure.reason)
        self.retry_until_available(lambda: self.record(failure))
