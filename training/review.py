"""Summaries to people and back: a CSV in which a reviewer corrects what a model wrote, and the training rows it makes.

Reads the ledger, changes nothing in it. Knows no model.
"""

import csv
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from sqlalchemy import Engine, select

from aftercall.database import reading
from aftercall.errors import SourceError
from aftercall.models import Job, SubmissionJob, Summary
from producer.export import FORMULA_STARTS
from training.dataset import load_examples
from training.files import write_aside
from training.tables import read_rows

REVIEW_COLUMNS = ("job", "id", "conversation", "summary", "corrected")
TRAINING_COLUMNS = ("id", "conversation", "summary")


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of a reviewed file."""

    num_corrected: int
    #: Left as they were, or without an entry.
    num_unchanged: int
    #: Rows in the training file now.
    num_rows: int


def export_review(database: Engine, submission_id: int, out: Path, max_rows: int, seed: int = 0) -> int:
    """Write up to `max_rows` summaries of a submission, drawn at random, for people to correct; returns how many.

    Raises SourceError if it has none yet.
    """
    latest = (
        select(SubmissionJob.external_id, Job.id, Job.text, Summary.text.label("summary"))
        .join(Job, Job.id == SubmissionJob.job_id)
        .join(Summary, Summary.job_id == Job.id)
        .where(SubmissionJob.submission_id == submission_id)
        .order_by(Job.id, Summary.id)
    )
    with reading(database) as connection:
        by_job = {row.id: row for row in connection.execute(latest)}
    if not by_job:
        raise SourceError(f"submission {submission_id} has no summaries yet; `aftercall status` shows how far it is")
    chosen = random.Random(seed).sample(sorted(by_job), min(max_rows, len(by_job)))
    rows = (
        (str(job), by_job[job].external_id, by_job[job].text, _guard(by_job[job].summary), "") for job in sorted(chosen)
    )
    write_aside(out, _to_csv(REVIEW_COLUMNS, rows))
    return len(chosen)


def import_review(database: Engine, reviewed: Path, out: Path) -> ImportReport:
    """Add the corrected summaries of a reviewed file to the training file `out`.

    Conversations are taken from the ledger, not from the file, which went through other hands. A later correction
    replaces an earlier one. Raises SourceError, naming the line, before anything is written.
    """
    corrections = _read_corrections(reviewed)
    rows = _known_rows(out)
    num_corrected = 0
    with reading(database) as connection:
        for correction in corrections:
            stored = connection.execute(
                select(Job.text, Summary.text.label("summary"))
                .join(Summary, Summary.job_id == Job.id)
                .where(Job.id == correction.job_id)
            ).all()
            if not stored:
                raise SourceError(f"{correction.where}: job {correction.job_id} has no summary in this database")
            if correction.text and correction.text not in {row.summary for row in stored}:
                rows[stored[0].text] = (correction.external_id, correction.text)
                num_corrected += 1
    lines = ((name, text, summary) for text, (name, summary) in rows.items())
    write_aside(out, _to_csv(TRAINING_COLUMNS, lines))
    return ImportReport(num_corrected, len(corrections) - num_corrected, len(rows))


@dataclass(frozen=True, slots=True)
class _Correction:
    where: str
    job_id: int
    external_id: str
    #: What the reviewer wrote, or the summary as it was; empty where the row has neither.
    text: str


def _read_corrections(path: Path) -> list[_Correction]:
    if not path.is_file():
        raise SourceError(f"{path}: there is no such file; `aftercall review export` writes one")
    rows = read_rows(path, set(REVIEW_COLUMNS), "what `aftercall review export` wrote")
    return [_read_row(row, where) for where, row in rows]


def _read_row(row: dict[str, str], where: str) -> _Correction:
    if not row["job"].isdecimal():
        raise SourceError(f"{where}: {row['job']!r} is no job; leave that column as it was")
    text = " ".join(row["corrected"].split()) or row["summary"]
    return _Correction(where, int(row["job"]), row["id"], _unguard(text))


def _known_rows(path: Path) -> dict[str, tuple[str, str]]:
    if not path.exists():
        return {}
    examples = load_examples(str(path), "train")
    return {example.text: (example.conversation.external_id, example.references[0]) for example in examples}


def _to_csv(columns: Iterable[str], rows: Iterator[tuple[str, ...]]) -> bytes:
    text = StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue().encode()


def _guard(text: str) -> str:
    """An apostrophe before what a spreadsheet program would take for a formula."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def _unguard(text: str) -> str:
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULA_STARTS) else text
