"""The files that a user names for a command's output, or stdout.

A command replaces only a file that the same command wrote, which it recognizes by the first line.
"""

import json
import sys
from collections.abc import Callable, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

from aftercall.errors import AftercallError
from aftercall.files import writing_whole

#: The name that stands for stdout.
STDOUT = Path("-")

#: How much of an existing file is read to find its first line: more than any first line of ours.
_MAX_HEAD_BYTES = 1_000_000


def write_out(out: Path, head: Sequence[str], write: Callable[[TextIO], int]) -> int:
    """Write the file that the user named; its lines begin with the columns `head`. `-` is stdout.

    Returns the number of lines. Raises AftercallError as `check_replaceable` does.
    """
    if out == STDOUT:
        return _write_stdout(write)
    check_replaceable(out, head)
    with writing_whole(out) as file:
        return write(file)


def _write_stdout(write: Callable[[TextIO], int]) -> int:
    """In UTF-8, whatever encoding the terminal has."""
    if sys.stdout is None:
        raise AftercallError("stdout is closed. Name a file instead of -, or leave stdout open.")
    stdout = TextIOWrapper(sys.stdout.buffer, encoding="utf-8", newline="")
    try:
        return write(stdout)
    finally:
        # Flushes, and leaves stdout open for what else is printed.
        stdout.detach()


def check_out(out: Path, head: Sequence[str]) -> None:
    """Make sure, before hours of work, that this file can be written. Changes nothing.

    Raises AftercallError as `check_replaceable` does, and OSError if no file can be created in the folder.
    """
    check_replaceable(out, head)
    with writing_whole(out, lambda aside: False):
        pass


def check_replaceable(out: Path, head: Sequence[str]) -> None:
    """Make sure that `out` may be written: it does not exist, is empty, or begins with these columns.

    Raises AftercallError if it is another file, such as the only copy of a source, or if its folder does not exist.
    """
    # A rename would replace a pipe, a device or a link with a file.
    if out.is_symlink() or (out.exists() and not out.is_file()):
        raise AftercallError(f"{out} is not a regular file and is left alone. Name a regular file, or a new one.")
    if not out.parent.is_dir():
        raise AftercallError(
            f"the folder {out.parent} does not exist, so {out.name} cannot be written. Create it, or name another."
        )
    if out.exists() and not _begins_with(out, head):
        raise AftercallError(
            f"{out} exists and was not written by this command. Name another file, or remove it first."
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
