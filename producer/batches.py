"""Reads and cleans a source in batches that are ready to be committed.

Reading and cleaning take more time than committing, so for a large source a second process reads ahead while this one
commits.
"""

import multiprocessing
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from aftercall.conversation import Conversation, render_turns
from aftercall.errors import SourceError
from aftercall.ledger.intake import NewJob, make_job_key
from aftercall.processes import safe_path_for_children
from aftercall.redaction import Mode, redact_turns
from producer.clean import clean_conversation, has_content
from producer.preparing import prepared_version
from producer.readers.account import Account
from producer.source import Rejected, Source

#: Conversations committed in one transaction, and characters, so that a batch of the longest fits into memory.
MAX_BATCH_ROWS = 1_000
MAX_BATCH_CHARS = 16_000_000

#: From this size on, a second process is worth the 0.3 s that its start takes.
READ_AHEAD_BYTES = 8_000_000

#: Batches that this process reads while the second one starts, so that the workers need not wait for it.
NUM_FIRST = 4


@dataclass(frozen=True, slots=True)
class Prepared:
    """A cleaned conversation, and the row that it came from."""

    line: int
    row: tuple[str, ...]
    job: NewJob


Batch = list[Prepared | Rejected]

#: What the second process sends: a batch, an error, or at the end the account of how the source was read.
_Sent = Batch | SourceError | Account


def read_batches(source: Source) -> Iterator[Batch]:
    """Every row of a source, cleaned or rejected.

    Raises SourceError if the source turns out to be unreadable as a whole.
    """
    return _read_ahead(source) if source.num_bytes >= READ_AHEAD_BYTES else prepare(source)


def prepare(source: Source) -> Iterator[Batch]:
    """The batches of a source, read and cleaned in this process."""
    batch: Batch = []
    num_chars = position = 0
    for row in source:
        num_chars += sum(map(len, row.row))
        if isinstance(row, Rejected):
            batch.append(row)
        else:
            job = _new_job(row.conversation, position, source.redact, source.adapter_digest)
            batch.append(Prepared(row.line, row.row, job))
            num_chars += len(job.text)
            position += 1
        if len(batch) == MAX_BATCH_ROWS or num_chars >= MAX_BATCH_CHARS:
            yield batch
            batch, num_chars = [], 0
    if batch:
        yield batch


def _new_job(conversation: Conversation, position: int, redact: Mode, adapter_digest: str | None) -> NewJob:
    cleaned = clean_conversation(conversation)
    text = render_turns(redact_turns(cleaned.turns, redact))
    version = prepared_version(redact)
    return NewJob(
        external_id=cleaned.external_id,
        position=position,
        text=text,
        job_key=make_job_key(text, version, adapter_digest),
        cleaner_version=version,
        # Of what was said: a placeholder is no word.
        is_sufficient=has_content(cleaned.turns),
        adapter_digest=adapter_digest,
    )


def _read_ahead(source: Source) -> Iterator[Batch]:
    """The batches of a source, all but the first ones read and cleaned in a second process."""
    num_first = _num_first(source)
    # Spawned, not forked: this process has threads and open connections.
    context = multiprocessing.get_context("spawn")
    # A pipe, not a queue: if either process is killed, even in the middle of a batch, the other one notices.
    batches, outlet = context.Pipe(duplex=False)
    reader = context.Process(target=_feed, args=(source, num_first, outlet), daemon=True)
    with safe_path_for_children():
        reader.start()
    outlet.close()
    try:
        yield from islice(prepare(source), num_first)
        while not isinstance(batch := _next(batches, reader, source.name), Account):
            if isinstance(batch, SourceError):
                raise batch
            yield batch
        source.account.replace(batch)
    finally:
        batches.close()
        reader.kill()
        reader.join()


def _num_first(source: Source) -> int:
    # Turns and tweets are sorted on disk before the first conversation comes out, which should happen only once.
    return NUM_FIRST if source.shape == "conversations" else 0


def _feed(source: Source, num_first: int, outlet: "Connection[_Sent, None]") -> None:
    """Run in the second process: send all but the first batches of the source, then None."""
    # Ctrl-C reaches both processes; the first one ends the second.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(BrokenPipeError):  # the first process is gone
        try:
            for batch in islice(prepare(source), num_first, None):
                outlet.send(batch)
        except SourceError as error:
            outlet.send(error)
        outlet.send(source.account)


def _next(batches: "Connection[None, _Sent]", reader: BaseProcess, name: str) -> _Sent:
    try:
        return batches.recv()
    except (EOFError, OSError):  # killed between two batches, or in the middle of one
        reader.join()
        return SourceError(
            f"{name}: the process that read it ended with code {reader.exitcode}, perhaps for want of memory. "
            "What it had read is kept: submit it again to go on."
        )
