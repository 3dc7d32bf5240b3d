"""Files of finished summaries that wait while the database is unavailable. They survive this process.

A file in the spool is always complete: it is written aside, synced and renamed.
"""

import json
import logging
import math
import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, astuple, dataclass
from pathlib import Path

from pydantic import TypeAdapter

from aftercall.files import write_whole
from aftercall.ledger.work import SummaryRecord
from aftercall.message import MAX_CHUNK_JOBS, MAX_JOB_ID

logger = logging.getLogger(__name__)

#: The largest number of an Integer column on PostgreSQL.
_MAX_INTEGER = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Finished:
    """A summary and the key of its job. The job's number alone is only valid in one ledger."""

    job_key: str
    summary: SummaryRecord


_FILE = TypeAdapter(list[Finished])


class Spool:
    """A folder with one file per chunk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, finished: Sequence[Finished]) -> Path:
        """Write summaries so that they survive a crash; returns their file."""
        path = self._folder / f"{uuid.uuid4().hex}.json"
        write_whole(path, json.dumps([asdict(each) for each in finished]).encode(), is_private=True)
        return path

    def files(self) -> Iterator[tuple[Path, list[Finished]]]:
        """The waiting files, oldest first. Drop a file once it is in the ledger.

        The workers of a machine share the folder, so a file that another one deletes meanwhile is skipped. A file of
        another user is skipped with a warning. A damaged file, or one of another version of aftercall, is renamed to
        `NAME.refused` and never read again.
        """
        for path in self._paths():
            finished = None
            with _skipping(path):
                try:
                    finished = _read(path)
                except ValueError:
                    # The reason is not logged: it would quote the summary.
                    logger.warning("%s is damaged or of another version: its conversations are summarized again", path)
                    path.rename(path.with_suffix(".refused"))
            if finished is not None:
                yield path, finished

    def drop(self, path: Path) -> None:
        """Delete a file, unless another process already has."""
        with _skipping(path):
            path.unlink()

    def _paths(self) -> list[Path]:
        paths: list[Path] = []
        with _skipping(self._folder):
            paths = [path for path in self._folder.iterdir() if path.suffix == ".json"]
        return sorted(paths, key=_written_at)


def _read(path: Path) -> list[Finished]:
    """The summaries of a file. Raises ValueError unless every value has the type and the range of its column.

    Checked here, because a database refuses such a value with an error that may look like an outage.
    """
    finished = _FILE.validate_json(path.read_bytes(), strict=True)
    if len(finished) > MAX_CHUNK_JOBS:
        raise ValueError("more summaries than a chunk has")
    for each in finished:
        summary = each.summary
        if not 1 <= summary.job_id <= MAX_JOB_ID:
            raise ValueError("a job id out of range")
        if not all(
            0 <= number <= _MAX_INTEGER for number in (summary.num_prompt_tokens, summary.num_completion_tokens)
        ):
            raise ValueError("a token count out of range")
        if any(isinstance(value, float) and not math.isfinite(value) for value in astuple(summary)):
            raise ValueError("a number that is not finite")
    return finished


def _written_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        # The error shows again, with its reason, when the file is read.
        return 0.0


@contextmanager
def _skipping(path: Path) -> Iterator[None]:
    """Go on if a file is missing or belongs to another user. One worker started by root leaves such files."""
    try:
        yield
    except FileNotFoundError:
        pass
    except OSError as error:
        logger.warning(
            "%s: %s. It stays there. If a worker of another user wrote it, make it this user's: sudo chown -R %d %s",
            path, error.strerror, os.geteuid(), path.parent,
        )  # fmt: skip
