"""The inbox: which files are complete, and where they go when their night is over."""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

#: Names that programs give to files they still write, besides hidden ones.
UNFINISHED_ENDINGS = (".part", ".partial", ".tmp", ".filepart", ".crdownload", ".swp", "~")

#: Between the two looks at a file that seems settled: a copy that keeps times looks old while it grows.
LOOK_INTERVAL_S = 1.0

#: Below the archive, for what could not be read.
UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Arrival:
    """A file of the inbox, as it was when it was found."""

    path: Path
    num_bytes: int
    modified_ns: int

    @property
    def is_unchanged(self) -> bool:
        """Whether the file is still what was found."""
        return self.path.is_file() and look(self.path) == self


@dataclass(frozen=True, slots=True)
class Inbox:
    """What lies in the inbox, in the order of the names."""

    settled: tuple[Arrival, ...]
    #: Still written, or perhaps so: the next night takes them.
    unsettled: tuple[Path, ...]


def look(path: Path) -> Arrival:
    """A file as it is now."""
    stat = path.stat()
    return Arrival(path, stat.st_size, stat.st_mtime_ns)


def open_inbox(folder: Path, settle_s: float, sleep: Callable[[float], None] = time.sleep) -> Inbox:
    """Which files are complete: unchanged for `settle_s` seconds by their time, and between two looks.

    Raises OSError if the folder can't be read.
    """
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    first = {path: look(path) for path in files}
    if first:
        sleep(min(LOOK_INTERVAL_S, settle_s))
    settled = [each for path, each in first.items() if each.is_unchanged and _is_old(each, settle_s)]
    taken = {each.path for each in settled}
    return Inbox(tuple(settled), tuple(path for path in files if path not in taken and path.exists()))


def _is_old(arrival: Arrival, settle_s: float) -> bool:
    is_finished = not arrival.path.name.endswith(UNFINISHED_ENDINGS)
    return is_finished and time.time() - arrival.modified_ns / 1e9 >= settle_s


def archive_file(arrival: Arrival, archive: Path, *, is_readable: bool) -> Path | None:
    """Move a file to the archive, under a name that is free there. Returns where it is.

    None: it has changed since it was taken, and stays for the next night.
    """
    if not arrival.is_unchanged:
        return None
    folder = archive if is_readable else archive / UNREADABLE
    folder.mkdir(parents=True, exist_ok=True)
    names = (folder / f"{arrival.path.name}{end}" for end in chain([""], (f".{number}" for number in count(2))))
    target = next(path for path in names if not path.exists())
    shutil.move(arrival.path, target)
    return target
