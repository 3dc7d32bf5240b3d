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


_ROW = TypeAdapter(Finished)


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
        another user is skipped with a warning. A damaged file, or one of another version of aftercall, is set aside as
        `NAME.refused` and never read again. What is sound in it is yielded all the same.
        """
        for path in self._paths():
            finished: list[Finished] = []
            with _skipping(path):
                content = path.read_bytes()
                finished, is_sound = _parse(content)
                if not is_sound:
                    _set_aside(path, content, is_empty=not finished)
            if finished:
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


def _parse(content: bytes) -> tuple[list[Finished], bool]:
    """The sound summaries of a file, and whether that is all of it."""
    try:
        rows = json.loads(content)
    except (ValueError, RecursionError):
        return [], False
    # More than a chunk would be too many ids for one statement.
    if not isinstance(rows, list) or len(rows) > MAX_CHUNK_JOBS:
        return [], False
    finished = [each for each in map(_parse_row, rows) if each is not None]
    return finished, len(finished) == len(rows)


def _parse_row(row: object) -> Finished | None:
    """The summary in a row; None unless every value has the type and the range of its column.

    Checked here, because a database refuses such a value with an error that may look like an outage.
    """
    try:
        finished = _ROW.validate_json(json.dumps(row), strict=True)
    except ValueError:
        return None
    summary = finished.summary
    counts = (summary.num_prompt_tokens, summary.num_completion_tokens)
    is_finite = all(math.isfinite(value) for value in astuple(summary) if isinstance(value, float))
    is_in_range = 1 <= summary.job_id <= MAX_JOB_ID and all(0 <= count <= _MAX_INTEGER for count in counts)
    return finished if is_finite and is_in_range else None


def _set_aside(path: Path, content: bytes, *, is_empty: bool) -> None:
    # The reason is not logged: it would quote the summary.
    logger.warning("%s is damaged or of another version: what can't be read of it is summarized again", path)
    refused = path.with_suffix(".refused")
    if is_empty:
        path.rename(refused)
    else:
        # The file itself is dropped once its sound summaries are in the ledger.
        write_whole(refused, content, is_private=True)


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
