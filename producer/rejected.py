"""The file of rejected rows: line, reason, and the row as it was. Written only if there is one."""

import csv
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from producer.source import Rejected


class RejectedFile:
    """A CSV file beside the source; an older one of the same name is replaced, or removed if nothing is rejected."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.path = path
        self._columns = columns
        self._stack = ExitStack()
        self._write_row: Callable[[list[object]], object] | None = None

    def __enter__(self) -> Self:
        self.path.unlink(missing_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def write(self, rejected: Rejected) -> None:
        """Add one row."""
        if self._write_row is None:
            # "x" follows no link that somebody may have put there since.
            file = self._stack.enter_context(self.path.open("x", encoding="utf-8", newline=""))
            self._write_row = csv.writer(file).writerow
            self._write_row(["line", "reason", *self._columns])
        self._write_row([rejected.line, rejected.reason, *rejected.row])
