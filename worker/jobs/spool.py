"""Where finished summaries wait while the database is away: files that survive this process.

A file is written aside, synced and renamed, so that a file that can be seen is whole. Knows no engine and no queue.
"""

import json
import logging
import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from aftercall.ledger.work import SummaryRecord

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Finished:
    """A summary, and whose it is: numbers of jobs mean something in one ledger alone."""

    job_key: str
    summary: SummaryRecord


class Spool:
    """A folder of chunks' summaries, each one a file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, finished: Sequence[Finished]) -> Path:
        """Write summaries so that they survive a crash; returns their file."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{uuid.uuid4().hex}.json"
        aside = path.with_suffix(".part")
        try:
            with aside.open("w", encoding="utf-8") as file:
                json.dump([asdict(each) for each in finished], file)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            aside.unlink(missing_ok=True)
            raise
        return aside.rename(path)

    def files(self) -> Iterator[tuple[Path, list[Finished]]]:
        """What waits, oldest first. Drop a file once it is in the ledger.

        The workers of a machine share the folder: what another one deletes meanwhile is passed over. So is, with a
        warning, what another user's worker wrote, and under another name what another version of aftercall wrote.
        """
        for path in self._paths():
            finished = None
            with _passing_over(path):
                try:
                    finished = _read(path)
                except (ValueError, TypeError, KeyError) as error:
                    logger.warning("%s is no spool file of this version (%r): its work is done again", path, error)
                    path.rename(path.with_suffix(".refused"))
            if finished is not None:
                yield path, finished

    def drop(self, path: Path) -> None:
        """Delete a file, if nobody else has."""
        with _passing_over(path):
            path.unlink()

    def _paths(self) -> list[Path]:
        paths: list[Path] = []
        with _passing_over(self._folder):
            paths = [path for path in self._folder.iterdir() if path.suffix == ".json"]
        return sorted(paths, key=_written_at)


def _read(path: Path) -> list[Finished]:
    rows = json.loads(path.read_text(encoding="utf-8"))
    return [Finished(row["job_key"], SummaryRecord(**row["summary"])) for row in rows]


def _written_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        # To read it will say why.
        return 0.0


@contextmanager
def _passing_over(path: Path) -> Iterator[None]:
    """Go on where a file is gone, or is not this user's: one worker that root started leaves such files."""
    try:
        yield
    except FileNotFoundError:
        pass
    except OSError as error:
        logger.warning(
            "%s: %s. It stays there. If a worker of another user wrote it, make it this user's: sudo chown -R %d %s",
            path, error.strerror, os.geteuid(), path.parent,
        )  # fmt: skip
