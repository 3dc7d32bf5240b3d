"""The dead-letter list: messages that no worker could read, as they came, in a Redis list next to the queue."""

from typing import Any

#: Messages that are kept; the oldest go first. Someone who floods the queue must not fill Redis.
MAX_KEPT = 1_000


def list_key(queue: str) -> str:
    """The list of a queue's dead letters, newest first."""
    return f"{queue}:dead"


def reason_key(queue: str) -> str:
    """Why the newest one was set aside."""
    return f"{queue}:dead:reason"


def add(client: Any, queue: str, raw: bytes, reason: str) -> None:
    """Keep a message that can't be read. Raises redis.RedisError."""
    with client.pipeline(transaction=True) as pipe:
        pipe.lpush(list_key(queue), raw)
        pipe.ltrim(list_key(queue), 0, MAX_KEPT - 1)
        pipe.set(reason_key(queue), reason)
        pipe.execute()


def count(client: Any, queue: str) -> int:
    """How many there are."""
    return int(client.llen(list_key(queue)))


def newest_reason(client: Any, queue: str) -> str:
    """Why the newest one was set aside; empty if none was."""
    return bytes(client.get(reason_key(queue)) or b"").decode(errors="replace")


def requeue(client: Any, queue: str) -> int:
    """Move them back into the queue, oldest first; returns how many. What still can't be read is set aside again."""
    # Counted before: a worker may set them aside again while this runs.
    num_moved = 0
    for _ in range(count(client, queue)):
        num_moved += client.lmove(list_key(queue), queue, "RIGHT", "LEFT") is not None
    return num_moved


def purge(client: Any, queue: str) -> int:
    """Delete them; returns how many."""
    with client.pipeline(transaction=True) as pipe:
        pipe.llen(list_key(queue))
        pipe.delete(list_key(queue), reason_key(queue))
        return int(pipe.execute()[0])
