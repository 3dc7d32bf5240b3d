"""Files that commands write: aside first, then renamed, so that nobody ever sees half of one.

Knows nothing of what is in them.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO
from uuid import uuid4

from aftercall.errors import AftercallError

#: The name that stands for stdout.
STDOUT = Path("-")


def write_out(out: Path, write: Callable[[TextIO], int]) -> int:
    """Write the file that a person named; `-` is stdout. Returns the number of lines.

    Raises AftercallError if something else than a file is there.
    """
    if out == STDOUT:
        return _write_stdout(write)
    _prepare(out)
    with writing_aside(out) as file:
        return write(file)


def _write_stdout(write: Callable[[TextIO], int]) -> int:
    """In UTF-8, whatever the terminal has."""
    stdout = TextIOWrapper(sys.stdout.buffer, encoding="utf-8", newline="")
    try:
        return write(stdout)
    finally:
        # Writes out what is left, and does not close what others print to.
        stdout.detach()


def check_out(out: Path) -> None:
    """Make sure, before hours of work for it, that this file can be written. Makes its folder, and no more.

    Raises AftercallError if something else than a file is there, OSError if the folder takes none.
    """
    _prepare(out)
    with writing_aside(out, lambda aside: False):
        pass


def _prepare(out: Path) -> None:
    # Renaming over a pipe, a device or a link would put a file in its place.
    if out.is_symlink() or (out.exists() and not out.is_file()):
        raise AftercallError(f"{out} is no regular file and is left alone. Name a file that is one, or a new one.")
    out.parent.mkdir(parents=True, exist_ok=True)


@contextmanager
def writing_aside(path: Path, is_wanted: Callable[[Path], bool] = lambda aside: True) -> Iterator[TextIO]:
    """A file of this writer alone, renamed to `path` at the end and removed if that is not reached.

    `is_wanted` is asked about the whole file before it takes its place.
    """
    aside = path.with_name(f".aftercall-{uuid4().hex}.part")
    try:
        # "x" follows no link that somebody may have put there.
        with aside.open("x", encoding="utf-8", newline="") as file:
            yield file
        if is_wanted(aside):
            aside.replace(path)
    except OSError as error:
        # The name aside tells nobody anything, and a full disk names no file at all.
        if error.filename in (None, str(aside)):
            error.filename = str(path)
        raise
    finally:
        # What cannot be tidied up must not hide why.
        with suppress(OSError):
            aside.unlink()
