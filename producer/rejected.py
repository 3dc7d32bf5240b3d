"""The file of rejected rows: line, reason, and the row as it was. Written only if a row was rejected.

People correct rows in it by hand, so an older file is never lost.
"""

import csv
import filecmp
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from aftercall.files import exists, set_aside, writing_whole
from producer.readers.limits import Limits
from producer.source import Rejected


class RejectedFile:
    """A CSV file next to the source. Older ones with other content are renamed to `NAME~`, `NAME~2`, `NAME~3` …

    A dry run leaves an existing file as it is.
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
        #: Where the older file with other content is now, if there was one.
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
        if kind is None and self._write_row is None and exists(self.path):
            self._keep_older()

    def write(self, rejected: Rejected) -> None:
        """Add one row."""
        if self._write_row is None:
            file = self._stack.enter_context(writing_whole(self.path, self._makes_room))
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
        """Whether the finished file may take its place; moves an older one with other content out of the way."""
        if not exists(self.path):
            return True
        if self.path.is_file() and filecmp.cmp(written, self.path, shallow=False):
            return False
        self._keep_older()
        return not self._is_dry_run

    def _keep_older(self) -> None:
        if self._is_dry_run:
            self.older_path = self.path
            return
        # Another process that submits the same source may be faster, and keeps it.
        with suppress(FileNotFoundError):
            self.older_path = set_aside(self.path)
