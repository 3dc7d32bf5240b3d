"""Sends messages for the jobs in the ledger that have none: new jobs, and those that lost their worker or message.

Every worker sweeps every few seconds, one at a time; submit and requeue sweep once. Messages are sent in no other way,
so a committed job is sent even if the process that committed it has died.

The ledger says in which order: the most urgent first, submissions of one priority by turns. Redis holds a window of
that order. What is more urgent than all of the window goes ahead of it, so it waits for no more than workers hold.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

from sqlalchemy import Engine

from aftercall.broker import Broker
from aftercall.errors import BrokerError
from aftercall.ledger import delivery, pause
from aftercall.message import Chunk, form_chunks
from aftercall.models import Priority
from aftercall.settings import Settings

logger = logging.getLogger(__name__)

#: Jobs that are marked as sent and then sent together.
SEND_BATCH = 1_000

#: More urgent jobs may go ahead of a full window. Of the window's size, they may take this share in addition, and no
#: more jobs at once than a statement takes.
OVERTAKING_SHARE = 4
MAX_OVERTAKING = 5_000


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

        While the ledger is paused, too: workers hold messages back that they can't claim, and these are not lost.

        Raises BrokerError if Redis can't be reached, and sqlalchemy's DBAPIError if the database can't.
        """
        num_expired = delivery.expire(self._engine, self._settings.max_attempts)
        with self._lock() as is_held:
            if not is_held or pause.current(self._engine) is not None:
                return Swept(num_expired)
            num_lost = self._find_lost()
            return Swept(num_expired, num_lost, self._send_unsent())

    def top_up(self) -> int:
        """Send jobs that have no message, as far as the window allows. Returns how many: none while paused."""
        with self._lock() as is_held:
            return self._send_unsent() if is_held and pause.current(self._engine) is None else 0

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
        before = delivery.num_sent(self._engine)
        sent = before.copy()
        # The most urgent last, as each goes ahead of all others.
        for priority in reversed(Priority):
            if _has_less_urgent(priority, before):
                sent[priority] += self._overtake(priority, before)
        for priority in Priority:
            if not _has_less_urgent(priority, before):
                sent[priority] += self._append(priority, sent)
        return sent.total() - before.total()

    def _append(self, priority: Priority, sent: Counter[int]) -> int:
        """Send jobs of one priority behind what waits in the queue. Returns how many."""
        room = self._settings.window - sent.total()
        num_sent = 0
        while num_sent < room and (room_bytes := self._settings.window_bytes - self._broker.num_bytes()) > 0:
            unsent = self._unsent(priority, min(SEND_BATCH, room - num_sent), room_bytes)
            if not unsent:
                break
            self._send(unsent, self._broker.send)
            num_sent += len(unsent)
        return num_sent

    def _overtake(self, priority: Priority, sent: Counter[int]) -> int:
        """Send jobs of one priority ahead of less urgent ones. Returns how many.

        Only when none that is as urgent waits in the queue, or the later ones would overtake the earlier ones.
        """
        if any(sent[each] for each in Priority if each <= priority):
            return 0
        num_jobs = min(max(1, self._settings.window // OVERTAKING_SHARE), MAX_OVERTAKING)
        unsent = self._unsent(priority, num_jobs, self._settings.window_bytes // OVERTAKING_SHARE)
        if unsent:
            self._send(unsent, self._broker.send_ahead)
        return len(unsent)

    def _unsent(self, priority: Priority, max_jobs: int, max_bytes: int) -> list[delivery.UnsentJob]:
        # Base64 makes four bytes of three. What escapes and headers add only shows in the next round.
        return delivery.unsent(self._engine, max_jobs, max_bytes * 3 // 4, priority)

    def _send(self, unsent: list[delivery.UnsentJob], send: Callable[[list[Chunk]], None]) -> None:
        # Marked first: a worker claims a job as soon as it is sent, and on PostgreSQL a claim skips rows that are being
        # changed. A crash between the two leaves jobs without a message; the search for lost messages finds them.
        job_ids = [entry.job.job_id for entry in unsent]
        delivery.mark_sent(self._engine, job_ids)
        try:
            send(list(self._form_chunks(unsent)))
        except BrokerError:
            delivery.mark_unsent(self._engine, job_ids)
            raise

    def _form_chunks(self, unsent: list[delivery.UnsentJob]) -> Iterator[Chunk]:
        """First attempts share chunks. A job that failed before gets its own chunk, so that it takes no other along."""
        first = [entry.job for entry in unsent if entry.attempts == 0]
        yield from form_chunks(first, self._settings.chunk_size, self._settings.max_message_bytes)
        yield from (Chunk((entry.job,)) for entry in unsent if entry.attempts > 0)


def _has_less_urgent(priority: Priority, sent: Counter[int]) -> bool:
    return any(sent[each] for each in Priority if each > priority)
