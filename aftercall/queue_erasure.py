"""Removes the messages that hold certain jobs from Redis, and their text from its append-only file."""

import json
import time
from collections.abc import Iterator, Set
from dataclasses import dataclass, field
from typing import Any

import redis

from aftercall import dead_letters
from aftercall.envelope import read_envelope
from aftercall.message import MessageError

#: Where kombu keeps messages that were delivered and are not acknowledged yet, and their index by time.
UNACKED, UNACKED_INDEX = "unacked", "unacked_index"

_SLICE = 32
_REWRITE_TIMEOUT_S = 120.0


@dataclass(slots=True)
class Removed:
    """What was removed from one Redis server."""

    num_messages: int = 0
    #: Delivered messages, of which Redis kept a copy until they would be acknowledged.
    num_unacked: int = 0
    #: The other jobs of these messages: they are to be sent again.
    other_job_ids: set[int] = field(default_factory=set)
    #: Dead letters that can't be read, so that nothing tells whether they hold the conversation.
    num_unreadable: int = 0


def remove_jobs(client: Any, queues: Set[str], job_ids: Set[int], key: str) -> Removed:
    """Remove every message with one of the jobs: waiting, delivered and set aside. Raises redis.RedisError.

    Args:
        queues: the names of the lists.
        key: of signed messages; empty without.
    """
    removed = Removed()
    for queue in sorted(queues | {dead_letters.list_key(queue) for queue in queues}):
        for raw in _entries(client, queue):
            found = read_job_ids(raw, key)
            if found is None:
                removed.num_unreadable += 1
            elif found & job_ids and client.lrem(queue, 1, raw):
                removed.num_messages += 1
                removed.other_job_ids |= found - job_ids
    for tag, raw in client.hscan_iter(UNACKED):
        found = read_job_ids(read_delivered(raw), key) or set()
        if found & job_ids:
            with client.pipeline(transaction=True) as pipe:
                pipe.hdel(UNACKED, tag).zrem(UNACKED_INDEX, tag).execute()
            removed.num_unacked += 1
            # A worker that lives goes on with the others; of one that is gone, their leases run out.
    return removed


def rewrite_log(client: Any) -> str:
    """Let the server write its append-only file anew, without what was removed, and wait. Returns what came of it."""
    if not client.info("persistence").get("aof_enabled"):
        return "no append-only file"
    try:
        client.bgrewriteaof()
    except redis.ResponseError as error:
        if "already in progress" not in str(error):
            return f"refused: {error}"
    deadline = time.monotonic() + _REWRITE_TIMEOUT_S
    while time.monotonic() < deadline:
        state = client.info("persistence")
        if not (state["aof_rewrite_in_progress"] or state["aof_rewrite_scheduled"]):
            return "rewritten" if state["aof_last_bgrewrite_status"] == "ok" else "failed"
        time.sleep(0.05)
    return f"not done after {_REWRITE_TIMEOUT_S:g} s"


def _entries(client: Any, queue: str) -> Iterator[bytes]:
    """The messages of a list, from its back: from there they are taken, and at the front new ones come."""
    last = client.llen(queue)
    while last > 0:
        yield from client.lrange(queue, max(0, last - _SLICE), last - 1)
        last -= _SLICE


def read_job_ids(raw: bytes, key: str) -> set[int] | None:
    try:
        return {job.job_id for job in read_envelope(raw, key).jobs}
    except MessageError:
        return None


def read_delivered(raw: bytes) -> bytes:
    """The message of an entry of the unacknowledged: a list of it, its exchange and its routing key."""
    try:
        return json.dumps(json.loads(raw)[0]).encode()
    except (ValueError, LookupError, TypeError, RecursionError):
        return b""
