"""Files that commands write: aside first, then renamed, so that nobody ever sees half of one.

Replaces only what the same command wrote before; of what is in a file it knows the first line.
"""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO
from uuid import uuid4

from aftercall.errors import AftercallError

#: The name that stands for stdout.
STDOUT = Path("-")

#: Of a file that is there: longer than any first line of ours.
_MAX_HEAD_BYTES = 1_000_000


def write_out(out: Path, head: Sequence[str], write: Callable[[TextIO], int]) -> int:
    """Write the file that a person named, whose lines begin with the columns `head`; `-` is stdout.

    Returns the number of lines. Raises AftercallError where `check_replaceable` does.
    """
    if out == STDOUT:
        return _write_stdout(write)
    check_replaceable(out, head)
    with writing_aside(out) as file:
        return write(file)


def _write_stdout(write: Callable[[TextIO], int]) -> int:
    """In UTF-8, whatever the terminal has."""
    if sys.stdout is None:
        raise AftercallError("stdout is closed. Name a file instead of -, or leave stdout open.")
    stdout = TextIOWrapper(sys.stdout.buffer, encoding="utf-8", newline="")
    try:
        return write(stdout)
    finally:
        # Writes out what is left, and does not close what others print to.
        stdout.detach()


def check_out(out: Path, head: Sequence[str]) -> None:
    """Make sure, before hours of work for it, that this file can be written. Changes nothing.

    Raises AftercallError where `check_replaceable` does, OSError if the folder takes no files.
    """
    check_replaceable(out, head)
    with writing_aside(out, lambda aside: False):
        pass


def check_replaceable(out: Path, head: Sequence[str]) -> None:
    """Make sure that `out` may be written: nothing is there, an empty file, or one that begins with these columns.

    Raises AftercallError if it is something else, such as a customer's only copy, or if its folder is not there.
    """
    # Renaming over a pipe, a device or a link would put a file in its place.
    if out.is_symlink() or (out.exists() and not out.is_file()):
        raise AftercallError(f"{out} is no regular file and is left alone. Name a file that is one, or a new one.")
    if not out.parent.is_dir():
        raise AftercallError(f"there is no folder {out.parent} to write {out.name} to. Make it, or name another.")
    if out.exists() and not _begins_with(out, head):
        raise AftercallError(
            f"{out} is there already and was not written by this command. Name another file, or remove it first."
        )


def _begins_with(path: Path, head: Sequence[str]) -> bool:
    with path.open("rb") as file:
        first = file.readline(_MAX_HEAD_BYTES).decode(errors="replace")
    return not first or _names(first)[: len(head)] == list(head)


def _names(line: str) -> list[str]:
    """The keys of a JSON object, or the columns of a header."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    return list(found) if isinstance(found, dict) else line.strip().split(",")


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
