"""Names that one worker of a machine has at a time.

Celery addresses workers by name and host, and two supervisors may run on one machine: two CPU workers of the same name
would answer each other's remote control commands.
"""

import fcntl
import itertools
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO


@dataclass(frozen=True, slots=True)
class ClaimedName:
    """A name that no other supervisor of this user and machine uses while `lock` is open."""

    name: str
    #: None if the temporary folder can't be used; the name then has the process id in it.
    lock: IO[bytes] | None


def claim_name(base: str) -> ClaimedName:
    """`base` if it is free on this machine, else `base-2`, `base-3` and so on.

    The kernel drops the lock with the process that holds it, so a killed supervisor leaves no name taken.
    """
    folder = Path(tempfile.gettempdir()) / f"aftercall-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        names = itertools.chain([base], (f"{base}-{number}" for number in itertools.count(2)))
        return next(ClaimedName(name, lock) for name in names if (lock := _lock(folder / f"{name}.lock")))
    except OSError:
        # Full, read-only, or made by another user: the process id is unique too, only longer and new at every start.
        return ClaimedName(f"{base}-{os.getpid()}", None)


def _lock(path: Path) -> IO[bytes] | None:
    """The locked file; None if another process holds the lock."""
    file = os.fdopen(os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600), "rb")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file
