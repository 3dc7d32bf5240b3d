"""One night at a time for an outbox: a lock that the kernel releases when its holder ends, however it ends."""

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aftercall.errors import NotReadyError
from producer.when import to_utc

LOCK_NAME = ".aftercall-night.lock"


@contextmanager
def night_lock(outbox: Path) -> Iterator[None]:
    """Hold the lock of an outbox. Its file stays there: removing it would let two hold it.

    Raises NotReadyError, naming the holder, if another process holds it.
    """
    path = outbox / LOCK_NAME
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NotReadyError(
                f"another night works on {outbox}: {_holder(file.read())}. Wait for its end, or stop that process."
            ) from None
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": to_utc(time.time())}
        file.truncate(0)
        file.write(json.dumps(holder))
        file.flush()
        yield


def _holder(written: str) -> str:
    try:
        holder = json.loads(written)
        return f"process {holder['pid']} on {holder['host']}, since {holder['since']}"
    except (ValueError, KeyError, TypeError):
        # It has the lock and has not written its name yet.
        return "a process that has just started"
