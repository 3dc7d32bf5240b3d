"""Locks that the kernel releases when their holder ends, however it ends.

`aftercall run` holds the data folder's: two would share one append-only file and one worker log.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from aftercall.errors import AftercallError, AlreadyRunningError
from aftercall.files import make_private_file, make_private_folder

LOCK_FILE = "run.lock"


@contextmanager
def locking(data_dir: Path) -> Iterator[None]:
    """Hold the data folder's lock while the block runs.

    Raises AlreadyRunningError, which names the holder, if another process has it.
    """

    def refuse(holder: str) -> AlreadyRunningError:
        return AlreadyRunningError(
            f"another `aftercall run` works in {data_dir}: {holder}. Wait until it has ended, or set "
            "AFTERCALL_DATA_DIR to another folder."
        )

    with holding(data_dir / LOCK_FILE, refuse):
        yield


@contextmanager
def holding(path: Path, refuse: Callable[[str], AftercallError]) -> Iterator[None]:
    """Hold a lock file, which is created if it is missing, while the block runs.

    If another process has it, raises what `refuse` makes of a description of the holder.
    """
    make_private_folder(path.parent)
    with make_private_file(path).open("r+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise refuse(file.read().strip() or "it has just started") from None
        file.truncate()
        file.write(f"process {os.getpid()}, since {datetime.now():%Y-%m-%d %H:%M:%S}\n")
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)
