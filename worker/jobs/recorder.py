"""Writes what became of jobs: waits while the database is unavailable, and splits what it refuses."""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from aftercall.database_errors import describe, is_transient
from aftercall.ledger import work
from aftercall.ledger.work import JobFailure, SummaryRecord
from aftercall.logs import event
from aftercall.settings import Settings
from worker.jobs.spool import Finished, Spool

logger = logging.getLogger(__name__)

#: Seconds between attempts to reach an unavailable database; the last one repeats.
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
        """No longer wait for an unavailable database."""
        self._is_stopping.set()

    def replay_spool(self) -> None:
        """Write what an earlier process finished while the database was unavailable."""
        for path, finished in self._spool.files():
            num_written = self.retry_until_available(partial(self._store_late, finished))
            self._spool.drop(path)
            fields = event("spool_written", summaries=num_written)
            logger.info("wrote %d summaries from the spool", num_written, extra=fields)

    def write(self, outcomes: Sequence[Outcome]) -> None:
        """Write summaries first, then what goes back untried, then failures."""
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
        """Count a failed attempt. Raises DBAPIError if the database is unavailable."""
        work.fail(self._database, failure, self._owner, self._settings.max_attempts, self._settings.retry_delay_s)

    def retry_until_available(self, statement: Callable[[], Returned]) -> Returned:
        """Run a statement, again and again while the database is unavailable.

        Raises DBAPIError if the error would not pass, or if the worker stops.
        """
        waits = iter(RETRY_WAITS_S)
        wait_s = 0.0
        while True:
            try:
                return statement()
            except DBAPIError as error:
                if not is_transient(error):
                    raise
                wait_s = next(waits, wait_s)
                fields = event("database_away", retry_s=wait_s)
                logger.warning("database away (%s): next try in %g s", describe(error), wait_s, extra=fields)
                if self._is_stopping.wait(wait_s):
                    raise

    def _complete(self, finished: Sequence[Finished]) -> None:
        """Write summaries. If the database is unavailable, keep them on disk, wait for it and so take no new work."""
        try:
            num_done = self._store([each.summary for each in finished])
        except DBAPIError as error:
            path = self._keep(finished)
            logger.warning(
                "database away (%s): %d summaries wait in %s",
                describe(error),
                len(finished),
                path or "memory",
                extra=event("database_away", jobs=[each.summary.job_id for each in finished]),
            )
            num_done = self.retry_until_available(lambda: self._store_own(finished))
            if path is not None:
                self._spool.drop(path)
        with self._lock:
            self._num_done += num_done

    def _keep(self, finished: Sequence[Finished]) -> Path | None:
        """The file in which the summaries wait; None if the disk is full, as it may be when the database is on it."""
        try:
            return self._spool.keep(finished)
        except OSError as error:
            logger.warning(
                "cannot write the spool (%s): if this worker is killed now, its work is done again",
                error,
                extra=event("spool_refused"),
            )
            return None

    def _store_late(self, finished: Sequence[Finished]) -> int:
        """Write what the ledger does not have from this adapter yet; returns how many summaries.

        A job whose summary is stored may have been queued again for another adapter. Storing the old summary a second
        time would mark that job as done.
        """
        stored = work.find_stored(self._database, [each.summary.job_id for each in finished])
        return self._store_own(
            [each for each in finished if (each.summary.job_id, each.summary.adapter_digest) not in stored]
        )

    def _store_own(self, finished: Sequence[Finished]) -> int:
        """Write the summaries of this ledger's conversations; returns how many. It may be restored from a backup."""
        own = work.find_own(self._database, {each.summary.job_id: each.job_key for each in finished})
        summaries = [each.summary for each in finished if each.summary.job_id in own]
        if num_foreign := len(finished) - len(summaries):
            logger.warning(
                "%d summaries are of conversations that this ledger does not have: dropped",
                num_foreign,
                extra=event("foreign_summaries", summaries=num_foreign),
            )
        return self._store(summaries)

    def _store(self, summaries: Sequence[SummaryRecord]) -> int:
        """Write summaries; returns how many. One that the database refuses fails alone."""
        try:
            work.complete(self._database, summaries)
        except (DataError, IntegrityError) as error:
            if len(summaries) > 1:
                return sum(self._store([summary]) for summary in summaries)
            reason = f"the database refuses the summary: {describe(error)}"
            fields = event("job_failed", job=summaries[0].job_id, code="unstorable_summary")
            logger.warning("job %d: %s", summaries[0].job_id, reason, extra=fields)
            self.record(JobFailure(summaries[0].job_id, "unstorable_summary", reason))
            return 0
        return len(summaries)

    def _fail(self, failure: JobFailure) -> None:
        # The reason stays in the ledger: it may quote the conversation.
        fields = event("job_failed", job=failure.job_id, code=failure.code)
        logger.warning("job %d: %s", failure.job_id, failure.code, extra=fields)
        self.retry_until_available(lambda: self.record(failure))
