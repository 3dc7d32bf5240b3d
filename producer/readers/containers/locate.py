"""Where the bytes of a source are: a file, a folder, an archive, or stdin.

What cannot be read twice (stdin, a pipe, a file in an archive) is first written to a temporary file, which goes with
what `locate_all` returns. So is what a workbook or a Parquet file is converted to.
"""

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from aftercall.errors import SourceError
from producer.readers.containers.content import Content, Contents, copy_bounded, new_folder, readable
from producer.readers.containers.limits import Budget, Limits
from producer.readers.containers.unpack import unpack


def locate_all(path: str, limits: Limits | None = None) -> Contents:
    """Find the files of a source; `-` is stdin.

    Raises SourceError if there are none, or if they are of a kind that is not read, with what to do.
    """
    with ExitStack() as resources:
        try:
            budget = Budget(readable(path) if path != "-" else "stdin", limits or Limits())
            members, passed_over = unpack(_find(path, resources, budget), resources, budget)
        except OSError as error:
            raise SourceError(f"{readable(path)}: cannot be read ({error.strerror or error}).") from None
        name = "stdin" if path == "-" else readable(Path(path).name)
        return Contents(name, members, passed_over, resources.pop_all())


def locate(path: str, limits: Limits | None = None) -> Content:
    """Find the one file of a source; `-` is stdin.

    Raises SourceError if it is none or several, or of a kind that is not read.
    """
    contents = locate_all(path, limits)
    if len(contents) != 1:
        contents.close()
        names = ", ".join(member.name for member in contents.members[:5])
        raise SourceError(f"{contents.name}: there are {len(contents)} files in it ({names} …); one is expected here.")
    (content,) = contents
    content.resources.push(contents.resources.pop_all())
    return content


def _find(path: str, resources: ExitStack, budget: Budget) -> Content:
    if path == "-":
        return _spool("stdin", sys.stdin.buffer, new_folder(resources), budget)
    file = Path(path)
    if not file.exists():
        raise SourceError(f"{readable(path)}: no such file. Check the name; a source is a path, or - for stdin.")
    if not file.is_dir() and not file.is_file():
        with file.open("rb") as pipe:
            return _spool(readable(file.name), pipe, new_folder(resources), budget)
    # `.` has no name of its own.
    return Content(readable(file.name or file.resolve().name), file, max_bytes=budget.limits.max_source_bytes)


def _spool(name: str, stream: BinaryIO, folder: Path, budget: Budget) -> Content:
    """Write what can be read once only to a temporary file."""
    copy_bounded(stream, folder / "source", budget)
    return Content(name, folder / "source", is_spooled=True, max_bytes=budget.limits.max_source_bytes)
