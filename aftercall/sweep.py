"""Upkeep of the queue from the ledger: what lost its worker or its message is sent again, within the window.

Every worker sweeps every few seconds, one at a time; submit and requeue sweep once. This is the only way in which
messages are sent, so a job that is committed is sent even if the process that committed it is gone.
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

#: Jobs noted as sent and then sent in one go.
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

    def sweep(self) -> Swept:
        """Expire leases, find lost messages, top up the queue. Does nothing while another process sweeps.

        Raises BrokerError if Redis, or sqlalchemy's DBAPIError if the database, cannot be reached.
        """
        num_expired = delivery.expire(self._engine, self._settings.max_attempts)
        with self._lock() as is_held:
            if not is_held:
                return Swept(num_expired)
            num_lost = self._find_lost()
            return Swept(num_expired, num_lost, self._send_unsent())

    def top_up(self) -> int:
        """Send what has no message, as far as the window allows. Returns how many jobs."""
        with self._lock() as is_held:
            return self._send_unsent() if is_held else 0

    def _lock(self) -> AbstractContextManager[bool]:
        """One sweeper at a time. One that was killed holds the lock on, but no longer than a message may be lost."""
        return self._broker.lock("sweep", self._settings.lost_after_s)

    def _find_lost(self) -> int:
        """Jobs that were sent, whose message waits no more, and that nobody claimed."""
        # Between its delivery and its claim a message is nowhere to be seen, so the young ones are not looked at.
        # Reading a whole queue is not for every sweep either; of an empty one it costs nothing.
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
        while num_sent < room:
            unsent = delivery.unsent(self._engine, min(SEND_BATCH, room - num_sent))
            if not unsent:
                break
            self._send(unsent)
            num_sent += len(unsent)
        return num_sent

    def _send(self, unsent: list[delivery.UnsentJob]) -> None:
        # Noted first: a worker claims at once what is sent, and on PostgreSQL a claim passes over rows that are being
        # changed. A crash between the two leaves jobs without a message, which the search for lost ones finds.
        job_ids = [entry.job.job_id for entry in unsent]
        delivery.mark_sent(self._engine, job_ids)
        try:
            self._broker.send(list(self._form_chunks(unsent)))
        except BrokerError:
            delivery.mark_unsent(self._engine, job_ids)
            raise

    def _form_chunks(self, unsent: list[delivery.UnsentJob]) -> Iterator[Chunk]:
        """First attempts travel together; whatever failed before travels alone and takes nobody along."""
        first = [entry.job for entry in unsent if entry.attempts == 0]
        yield from form_chunks(first, self._settings.chunk_size, self._settings.max_message_bytes)
        yield from (Chunk((entry.job,)) for entry in unsent if entry.attempts > 0)
