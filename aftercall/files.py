"""Files that are there whole or not at all. Knows bytes and folders."""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from aftercall.errors import AdapterError


def write_aside(path: Path, content: bytes) -> None:
    """Write a file aside and rename it over what was there, in a folder that may be new; else AdapterError."""
    # Of this writer alone: two evaluations of one adapter may end together.
    aside = path.with_name(f".{uuid.uuid4().hex}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_bytes(content)
        aside.replace(path)
    except OSError as error:
        # A read-only file system refuses even to remove what is not there.
        with suppress(OSError):
            aside.unlink()
        raise AdapterError(f"{path} cannot be written: {error.strerror}. Make room or fix the rights.") from error


@contextmanager
def folder_aside(parent: Path) -> Iterator[Path]:
    """A folder beside those of `parent` to fill and rename; what is left of it in the end is removed.

    Raises AdapterError if it cannot be made or filled.
    """
    aside = parent / f".{uuid.uuid4().hex}.partial"
    try:
        aside.mkdir(parents=True)
        yield aside
    except OSError as error:
        raise AdapterError(
            f"{parent} cannot be written: {error.strerror}. Make room or fix the rights, then try again."
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
