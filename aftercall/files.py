"""Files that appear whole or not at all, and files that are set aside instead of overwritten.

Everything raises OSError with the name of the file that the caller asked for; callers word the message.

What aftercall keeps for itself holds customers' words and is private: folders 0700, files 0600. A file that a user
named gets the rights that the user's umask gives it.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from itertools import chain, count
from pathlib import Path
from typing import TextIO
from uuid import uuid4

PRIVATE_FOLDER_MODE = 0o700
PRIVATE_FILE_MODE = 0o600

#: What the umask leaves of this.
_USER_FILE_MODE = 0o666

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL

#: Bits with which other users of the machine reach a file.
OTHERS_MODE = 0o007


def make_private_folder(folder: Path) -> Path:
    """Create a folder, and the missing ones above it, for this user alone. One that exists keeps its rights."""
    for path in reversed([folder, *folder.parents]):
        if not path.is_dir():
            # Another process may create it first.
            path.mkdir(PRIVATE_FOLDER_MODE, exist_ok=True)
    return folder


def make_private_file(path: Path) -> Path:
    """Create an empty file for this user alone. One that exists keeps its content and its rights."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, PRIVATE_FILE_MODE))
    return path


def open_appending(path: Path) -> TextIOWrapper:
    """Open a text file for writing at its end, by one line at a time; a new one is for this user alone."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, PRIVATE_FILE_MODE)
    return TextIOWrapper(os.fdopen(descriptor, "wb"), encoding="utf-8", errors="replace", line_buffering=True)


def write_whole(path: Path, content: bytes, *, is_private: bool = False) -> None:
    """Write a file aside, sync it and rename it over `path`. Its folder is created if it is missing."""
    if is_private:
        make_private_folder(path.parent)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
    mode = PRIVATE_FILE_MODE if is_private else _USER_FILE_MODE
    with _placing(path) as aside, os.fdopen(os.open(aside, _CREATE, mode), "wb") as file:
        file.write(content)
        file.flush()
        # A rename may reach the disk before the content does; a power cut would then leave an empty file.
        os.fsync(file.fileno())


@contextmanager
def writing_whole(path: Path, is_wanted: Callable[[Path], bool] = lambda aside: True) -> Iterator[TextIO]:
    """A text file that is renamed to `path` when the block ends, and removed if the block raises.

    Args:
        is_wanted: asked about the finished file before it takes its place; if False, it is removed.
    """
    with _placing(path, is_wanted) as aside, aside.open("x", encoding="utf-8", newline="") as file:
        yield file


@contextmanager
def filling_folder(parent: Path) -> Iterator[Path]:
    """A new folder in `parent` to fill and rename. If it still has its own name when the block ends, it is removed."""
    aside = parent / _aside_name()
    try:
        parent.mkdir(parents=True, exist_ok=True)
        aside.mkdir()
        yield aside
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def set_aside(path: Path) -> Path:
    """Rename a file to the first free name of `NAME~`, `NAME~2`, `NAME~3` …; returns that name.

    Raises FileNotFoundError if another process was faster.
    """
    names = (path.with_name(f"{path.name}~{number}") for number in chain([""], count(2)))
    kept = next(filter(_reserve, names))
    try:
        return path.rename(kept)
    except OSError:
        kept.unlink()
        raise


def exists(path: Path) -> bool:
    """Whether the name is taken, be it by a link that leads nowhere."""
    return path.is_symlink() or path.exists()


@contextmanager
def _placing(path: Path, is_wanted: Callable[[Path], bool] = lambda aside: True) -> Iterator[Path]:
    """A name next to `path` to write to. It must be opened exclusively: that follows no link put there."""
    aside = path.with_name(_aside_name())
    try:
        yield aside
        if is_wanted(aside):
            aside.replace(path)
    except OSError as error:
        # The name aside tells the user nothing, and the error of a full disk names no file at all.
        if error.filename in (None, str(aside)):
            error.filename = str(path)
        raise
    finally:
        # An error here must not hide the one above. A read-only file system refuses even to remove a missing file.
        with suppress(OSError):
            aside.unlink()


def _aside_name() -> str:
    """Different for every writer: two that write the same file must not share the one aside."""
    return f".aftercall-{uuid4().hex}.part"


def _reserve(name: Path) -> bool:
    """Take a name by creating an empty file. If two processes only looked, one would overwrite the other's file."""
    try:
        name.touch(PRIVATE_FILE_MODE, exist_ok=False)
    except FileExistsError:
        return False
    return True
