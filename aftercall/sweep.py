"""Sends messages for the jobs in the ledger that have none: new jobs, and those that lost their worker or message.

Every worker sweeps every few seconds, one at a time; submit and requeue sweep once. Messages are sent in no other way,
so a committed job is sent even if the process that committed it has died.
"""

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

from sqlalchemy import Engine

from aftercall.broker import Broker
from aftercall.errors import BrokerError
from aftercall.ledger import delivery
from aftercall.message import Chunk, form_chunks
from aftercall.settings import Settings

logger = logging.getLogger(__name__)

#: Jobs that are marked as sent and then sent together.
SEND_BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep did, in jobs."""

    num_expired: int = 0
    num_lost: int = 0
    num_sent: int = 0


class Sweeper:
    """Sweeps one queue and its ledger."""

    def __init__(self, engine: Engine, broker: Broker, settings: Settings) -> None:
        self._engine = engine
        self._broker = broker
        self._settings = settings

    @property
    def has_webhook(self) -> bool:
        """Whether someone is told about the ends of submissions."""
        return bool(self._settings.webhook_url)

    def sweep(self) -> Swept:
        """Expire leases, find lost messages, top up the queue. While another process sweeps, only expire leases.

        Raises BrokerError if Redis can't be reached, and sqlalchemy's DBAPIError if the database can't.
        """
        num_expired = delivery.expire(self._engine, self._settings.max_attempts)
        with self._lock() as is_held:
            if not is_held:
                return Swept(num_expired)
            num_lost = self._find_lost()
            return Swept(num_expired, num_lost, self._send_unsent())

    def top_up(self) -> int:
        """Send jobs that have no message, as far as the window allows. Returns how many."""
        with self._lock() as is_held:
            return self._send_unsent() if is_held else 0

    def _lock(self) -> AbstractContextManager[bool]:
        """For one sweeper at a time. The lock of a killed sweeper expires as soon as a message may count as lost."""
        return self._broker.lock("sweep", self._settings.lost_after_s)

    def _find_lost(self) -> int:
        """Mark jobs as unsent whose message left the queue and that no worker claimed. Returns how many."""
        # Between delivery and claim, a message is not in the queue and its job is not claimed, so recent ones are
        # skipped. Reading a long queue takes too long for every sweep.
        lost_after_s = self._settings.lost_after_s
        if self._broker.depth() and not self._broker.is_due("search", lost_after_s):
            return 0
        suspects = delivery.sent_before(self._engine, lost_after_s)
        if not suspects:
            return 0
        waiting = self._broker.waiting_job_ids()
        lost = [job_id for job_id in suspects if job_id not in waiting]
        num_lost = 0
        for start in range(0, len(lost), SEND_BATCH):
            num_lost += delivery.mark_unsent(self._engine, lost[start : start + SEND_BATCH])
        return num_lost

    def _send_unsent(self) -> int:
        room = self._settings.window - delivery.num_sent(self._engine)
        num_sent = 0
        while num_sent < room and (room_bytes := self._settings.window_bytes - self._broker.num_bytes()) > 0:
            # Base64 makes four bytes of three. What escapes and headers add only shows in the next round.
            unsent = delivery.unsent(self._engine, min(SEND_BATCH, room - num_sent), max_chars=room_bytes * 3 // 4)
            if not unsent:
                break
            self._send(unsent)
            num_sent += len(unsent)
        return num_sent

    def _send(self, unsent: list[delivery.UnsentJob]) -> None:
        # Marked first: a worker claims a job as soon as it is sent, and on PostgreSQL a claim skips rows that are being
        # changed. A crash between the two leaves jobs without a message; the search for lost messages finds them.
        job_ids = [entry.job.job_id for entry in unsent]
        delivery.mark_sent(self._engine, job_ids)
        try:
            self._broker.send(list(self._form_chunks(unsent)))
        except BrokerError:
            delivery.mark_unsent(self._engine, job_ids)
            raise

    def _form_chunks(self, unsent: list[delivery.UnsentJob]) -> Iterator[Chunk]:
        """First attempts share chunks. A job that failed before gets its own chunk, so that it takes no other along."""
        first = [entry.job for entry in unsent if entry.attempts == 0]
        yield from form_chunks(first, self._settings.chunk_size, self._settings.max_message_bytes)
        yield from (Chunk((entry.job,)) for entry in unsent if entry.attempts > 0)
