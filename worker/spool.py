"""Where finished summaries wait while the database is away: files that survive this process.

A file is written aside, synced and renamed, so that a file that can be seen is whole. Knows no engine and no queue.
"""

import json
import os
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from aftercall.ledger.work import SummaryRecord


class Spool:
    """A folder of chunks' summaries, each one a file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, summaries: Sequence[SummaryRecord]) -> Path:
        """Write summaries so that they survive a crash; returns their file."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{uuid.uuid4().hex}.json"
        aside = path.with_suffix(".part")
        try:
            with aside.open("w", encoding="utf-8") as file:
                json.dump([asdict(summary) for summary in summaries], file)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            aside.unlink(missing_ok=True)
            raise
        return aside.rename(path)

    def files(self) -> Iterator[tuple[Path, list[SummaryRecord]]]:
        """What waits, oldest first. Delete a file (`Path.unlink`) once it is in the ledger.

        The workers of a machine share the folder: what another one deletes meanwhile is passed over.
        """
        for path in sorted(self._folder.glob("*.json"), key=_written_at):
            try:
                rows = json.loads(path.read_text(encoding="utf-8"))
            except FileNotFoundError:
                continue
            yield path, [SummaryRecord(**row) for row in rows]


def _written_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
