"""Exports summaries to a CSV for reviewers to correct, and imports their corrections as training rows.

Reads the ledger and does not change it.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, select

from aftercall.database import reading
from aftercall.errors import AftercallError, SourceError
from aftercall.ledger import account
from aftercall.models import Job, SubmissionJob, Summary
from producer.export import FORMULA_STARTS, write_csv
from producer.output import STDOUT, check_replaceable, write_out
from training.data.corrections import Correction, open_training_file
from training.data.csv_rows import read_rows

REVIEW_COLUMNS = ("job", "id", "conversation", "summary", "corrected")

#: Number of conversations read per query.
_NUM_AT_ONCE = 500

#: Longest job number that a database can hold, in digits.
_MAX_DIGITS = 18


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of a reviewed file."""

    num_corrected: int
    #: Left as they were, or without an entry.
    num_unchanged: int
    #: Not in this database any more.
    num_gone: int
    #: Rows in the training file now.
    num_rows: int


def export_review(database: Engine, submission_id: int, out: Path, max_rows: int, seed: int = 0) -> int:
    """Write up to `max_rows` summaries of a submission, drawn at random, for people to correct; returns how many.

    Raises NotFoundError if there is no such submission, SourceError if it has no summary yet, AftercallError if `out`
    may not be written, or has corrections in it.
    """
    account.submission(database, submission_id)
    _refuse_to_lose_corrections(out)
    job_ids = _summarized(database, submission_id)
    if not job_ids:
        raise SourceError(f"submission {submission_id} has no summaries yet; `aftercall status` shows how far it is")
    chosen = sorted(random.Random(seed).sample(job_ids, min(max_rows, len(job_ids))))
    rows = _read_summaries(database, submission_id, chosen)
    return write_out(out, REVIEW_COLUMNS, lambda file: write_csv(file, REVIEW_COLUMNS, rows))


def import_review(database: Engine, reviewed: Path, out: Path) -> ImportReport:
    """Add the corrected summaries of a reviewed file to the training file `out`.

    Conversations are taken from the ledger, not from the file, which went through other hands. A correction replaces
    all that `out` has for its conversation. Rows of purged conversations are left out. Raises SourceError, naming the
    line, before anything is written.
    """
    entries = _read_entries(reviewed)
    training_file = open_training_file(out)
    corrections: dict[str, Correction] = {}
    num_corrected = num_gone = 0
    with reading(database) as connection:
        for entry in entries:
            stored = _Stored.read(connection, entry.job_id)
            if stored is None:
                num_gone += 1
            elif entry.summary and entry.summary not in stored.summaries:
                entry.check_against(stored.text)
                corrections[stored.text] = Correction(entry.external_id, entry.summary)
                num_corrected += 1
    if entries and num_gone == len(entries):
        raise SourceError(f"{reviewed}: none of its jobs is in this database; import it where it was exported")
    num_rows = training_file.replace(corrections) if corrections else len(training_file.rows)
    return ImportReport(num_corrected, len(entries) - num_corrected - num_gone, num_gone, num_rows)


@dataclass(frozen=True, slots=True)
class _Entry:
    where: str
    job_id: int
    external_id: str
    #: What the reviewer wrote, or the summary as it was; empty where the row has neither.
    summary: str

    def check_against(self, conversation: str) -> None:
        if self.summary == " ".join(conversation.split()):
            raise SourceError(f"{self.where}: the correction is the conversation itself; write a summary or empty it")


@dataclass(frozen=True, slots=True)
class _Stored:
    text: str
    summaries: frozenset[str]

    @classmethod
    def read(cls, connection: Connection, job_id: int) -> "_Stored | None":
        query = select(Job.text, Summary.text.label("summary")).join(Summary, Summary.job_id == Job.id)
        rows = connection.execute(query.where(Job.id == job_id)).all()
        return cls(rows[0].text, frozenset(row.summary for row in rows)) if rows else None


def _refuse_to_lose_corrections(out: Path) -> None:
    if out == STDOUT:
        return
    check_replaceable(out, REVIEW_COLUMNS)
    if not out.exists() or out.stat().st_size == 0:
        return
    if any(row["corrected"].strip() for _, row in _read_reviewed(out)):
        raise AftercallError(
            f"{out} has corrections in it. Name another file, or bring them in with `aftercall review import` and then "
            "remove it."
        )


def _summarized(database: Engine, submission_id: int) -> Sequence[int]:
    """The jobs of a submission that have a summary."""
    query = (
        select(SubmissionJob.job_id)
        .join(Summary, Summary.job_id == SubmissionJob.job_id)
        .where(SubmissionJob.submission_id == submission_id)
        .distinct()
        .order_by(SubmissionJob.job_id)
    )
    with reading(database) as connection:
        return connection.execute(query).scalars().all()


def _read_summaries(database: Engine, submission_id: int, job_ids: Sequence[int]) -> Iterator[dict[str, Any]]:
    """A row of the review for each job, with its newest summary."""
    for start in range(0, len(job_ids), _NUM_AT_ONCE):
        query = (
            select(SubmissionJob.external_id, Job.id, Job.text, Summary.text.label("summary"))
            .join(Job, Job.id == SubmissionJob.job_id)
            .join(Summary, Summary.job_id == Job.id)
            .where(SubmissionJob.submission_id == submission_id, Job.id.in_(job_ids[start : start + _NUM_AT_ONCE]))
            .order_by(Job.id, Summary.id)
        )
        with reading(database) as connection:
            newest = {row.id: row for row in connection.execute(query)}
        for row in newest.values():
            yield dict(zip(REVIEW_COLUMNS, (row.id, row.external_id, row.text, row.summary, ""), strict=True))


def _read_entries(path: Path) -> list[_Entry]:
    if not path.is_file():
        raise SourceError(f"{path}: there is no such file; `aftercall review export` writes one")
    return [_read_entry(row, where) for where, row in _read_reviewed(path)]


def _read_reviewed(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    return read_rows(path, set(REVIEW_COLUMNS), "what `aftercall review export` wrote")


def _read_entry(row: dict[str, str], where: str) -> _Entry:
    if not row["job"].isdecimal() or len(row["job"]) > _MAX_DIGITS:
        raise SourceError(f"{where}: {row['job']!r} is no job; leave that column as it was")
    summary = " ".join(row["corrected"].split()) or row["summary"]
    return _Entry(where, int(row["job"]), _unguard(row["id"]), _unguard(summary))


def _unguard(cell: str) -> str:
    """Without the apostrophe that keeps a formula from being one."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULA_STARTS) else cell
