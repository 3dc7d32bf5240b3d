"""A lock on the data folder for `aftercall run`: two would share one append-only file and one worker log."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from aftercall.errors import AlreadyRunningError
from aftercall.files import make_private_file, make_private_folder

LOCK_FILE = "run.lock"


@contextmanager
def locking(data_dir: Path) -> Iterator[None]:
    """Hold the data folder's lock while the block runs. The kernel releases it when the process ends, however it ends.

    Raises AlreadyRunningError, which names the holder, if another process has it.
    """
    path = make_private_file(make_private_folder(data_dir) / LOCK_FILE)
    with path.open("r+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunningError(
                f"another `aftercall run` works in {data_dir}: {file.read().strip() or 'it has just started'}. Wait "
                "until it has ended, or set AFTERCALL_DATA_DIR to another folder."
            ) from None
        file.truncate()
        file.write(f"process {os.getpid()}, since {datetime.now():%Y-%m-%d %H:%M:%S}\n")
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)
