"""Exports summaries to a CSV for reviewers to correct. `review_import` reads what they wrote."""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, select

from aftercall.database import reading
from aftercall.errors import AftercallError, SourceError
from aftercall.ledger import account
from aftercall.models import Job, SubmissionJob, Summary
from producer.export import write_csv
from producer.output import STDOUT, check_replaceable, write_out
from training.data.csv_rows import read_rows

REVIEW_COLUMNS = ("job", "id", "conversation", "summary", "corrected")

#: Number of conversations read per query.
_NUM_AT_ONCE = 500


def export_review(database: Engine, submission_id: int, out: Path, max_rows: int, seed: int = 0) -> int:
    """Write up to `max_rows` summaries of a submission, drawn at random, for people to correct; returns how many.

    Raises NotFoundError if there is no such submission, SourceError if it has no summary yet, AftercallError if `out`
    cannot be written or contains corrections.
    """
    account.submission(database, submission_id)
    _refuse_to_lose_corrections(out)
    job_ids = _summarized(database, submission_id)
    if not job_ids:
        raise SourceError(f"submission {submission_id} has no summaries yet; `aftercall status` shows how far it is")
    chosen = sorted(random.Random(seed).sample(job_ids, min(max_rows, len(job_ids))))
    rows = _read_summaries(database, submission_id, chosen)
    return write_out(out, REVIEW_COLUMNS, lambda file: write_csv(file, REVIEW_COLUMNS, rows))


def _refuse_to_lose_corrections(out: Path) -> None:
    if out == STDOUT:
        return
    check_replaceable(out, REVIEW_COLUMNS)
    if not out.exists() or out.stat().st_size == 0:
        return
    if any(row["corrected"].strip() for _, row in read_reviewed(out)):
        raise AftercallError(
            f"{out} has corrections in it. Name another file, or import them with `aftercall review import` and then "
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


def read_reviewed(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Each row of a reviewed file with its file and line; SourceError if it is not one."""
    if not path.is_file():
        raise SourceError(f"{path}: there is no such file; `aftercall review export` writes one")
    return read_rows(path, set(REVIEW_COLUMNS), "what `aftercall review export` wrote")
