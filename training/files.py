"""The files of adapters, splits and judgements: whole or not at all, with one message if they can't be written."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aftercall.errors import AdapterError
from aftercall.files import filling_folder, write_whole


def write_artifact(path: Path, content: bytes) -> None:
    """Write a file of an adapter. Raises AdapterError if it can't be written."""
    with _explaining(path):
        write_whole(path, content)


@contextmanager
def filling_artifact(parent: Path) -> Iterator[Path]:
    """A new folder in `parent` to fill and rename. Raises AdapterError if it can't be created or filled."""
    with _explaining(parent), filling_folder(parent) as folder:
        yield folder


@contextmanager
def _explaining(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise AdapterError(
            f"{path} cannot be written: {error.strerror}. Make room or fix the rights, then try again."
        ) from error
