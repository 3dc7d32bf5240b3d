"""The file of rejected rows: line, reason, and the row as it was. Written only if there is one.

People correct rows in it by hand: an older one is never lost.
"""

import csv
import filecmp
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from itertools import chain, count
from pathlib import Path
from types import TracebackType
from typing import Self

from producer.output import writing_aside
from producer.readers.limits import Limits
from producer.source import Rejected


class RejectedFile:
    """A CSV file beside the source. Older ones with other content stay beside it, under names with `~`, `~2`, `~3` …

    A dry run changes nothing that is there.
    """

    def __init__(
        self,
        path: Path,
        columns: Sequence[str],
        max_row_chars: int = Limits().max_rejected_chars,
        *,
        is_dry_run: bool = False,
    ) -> None:
        self.path = path
        #: Where an older file with other content is in the end, if there was one.
        self.older_path: Path | None = None
        self._columns = columns
        self._max_row_chars = max_row_chars
        self._is_dry_run = is_dry_run
        self._stack = ExitStack()
        self._write_row: Callable[[list[object]], object] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)
        if kind is None and self._write_row is None and _is_there(self.path):
            self._keep_older()

    def write(self, rejected: Rejected) -> None:
        """Add one row."""
        if self._write_row is None:
            file = self._stack.enter_context(writing_aside(self.path, self._makes_room))
            self._write_row = csv.writer(file).writerow
            self._write_row(["line", "reason", *self._columns])
        self._write_row([rejected.line, *self._bounded(rejected)])

    def _bounded(self, rejected: Rejected) -> list[str]:
        """Reason and cells; of a row of any length no more than the limit, since a file of them is to be opened."""
        num_chars = sum(map(len, rejected.row))
        if num_chars <= self._max_row_chars:
            return [rejected.reason, *rejected.row]
        cells, room = [], self._max_row_chars
        for cell in rejected.row[: self._max_row_chars]:
            cells.append(cell[:room])
            room -= len(cells[-1])
        cut = f" The row has {num_chars:,} characters and is cut off here: correct it in the source."
        return [rejected.reason + cut, *cells]

    def _makes_room(self, written: Path) -> bool:
        """Whether what was written may take its place: what was there is out of the way."""
        if not _is_there(self.path):
            return True
        if self.path.is_file() and filecmp.cmp(written, self.path, shallow=False):
            return False
        self._keep_older()
        return not self._is_dry_run

    def _keep_older(self) -> None:
        if self._is_dry_run:
            self.older_path = self.path
            return
        # Somebody who submits the same source may be quicker, and keeps it.
        with suppress(FileNotFoundError):
            self.older_path = _keep(self.path)


def _keep(path: Path) -> Path:
    """Rename a file to the first of its names that is free; returns that."""
    names = (path.with_name(f"{path.name}~{number}") for number in chain([""], count(2)))
    kept = next(filter(_reserve, names))
    try:
        return path.rename(kept)
    except OSError:
        kept.unlink()
        raise


def _reserve(name: Path) -> bool:
    """Take a name, if it is free, by an empty file: of two that only looked, one would lose what it keeps."""
    try:
        name.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def _is_there(path: Path) -> bool:
    """A link that leads nowhere is there too."""
    return path.is_symlink() or path.exists()
