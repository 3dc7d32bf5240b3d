"""Exports summaries to a CSV for reviewers to correct. `review_import` reads what they wrote."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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
#: Why a summary was drawn: its `risk`, or as a random `control`.
DRAWN = "drawn"
#: What an export has on top: for the reviewer to fill in, and why the row was drawn.
_MORE_COLUMNS = ("reason", "reviewer", DRAWN)

#: Number of conversations read per query.
_NUM_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Draw:
    """How many summaries to draw, and how."""

    max_rows: int
    #: So many of them at random among all summaries; the others are those with the highest risk.
    num_control: int = 0
    seed: int = 0


def export_review(database: Engine, submission_id: int, out: Path, draw: Draw) -> int:
    """Write summaries of a submission for people to correct: by their verdicts and a random control; returns how many.

    Raises NotFoundError if there is no such submission, SourceError if it has no summary yet, AftercallError if `out`
    cannot be written or contains corrections.
    """
    account.submission(database, submission_id)
    _refuse_to_lose_corrections(out)
    verdicts = _read_verdicts(database, submission_id)
    if not verdicts:
        raise SourceError(f"submission {submission_id} has no summaries yet; `aftercall status` shows how far it is")
    rows = _read_summaries(database, submission_id, _choose(verdicts, draw))
    columns = (*REVIEW_COLUMNS, *_MORE_COLUMNS)
    return write_out(out, REVIEW_COLUMNS, lambda file: write_csv(file, columns, rows))


def _choose(verdicts: Mapping[int, tuple[bool, float]], draw: Draw) -> dict[int, str]:
    """The jobs to review and why. The control is drawn among all jobs, so that its figures hold for all of them."""
    shuffled = random.Random(draw.seed).sample(sorted(verdicts), len(verdicts))
    control = shuffled[: min(draw.num_control, draw.max_rows)]
    by_risk = sorted(shuffled[len(control) :], key=lambda job: verdicts[job], reverse=True)
    risky = by_risk[: draw.max_rows - len(control)]
    return dict(sorted({**dict.fromkeys(control, "control"), **dict.fromkeys(risky, "risk")}.items()))


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


def _read_verdicts(database: Engine, submission_id: int) -> dict[int, tuple[bool, float]]:
    """By job: whether its newest summary needs a review, and its risk; summaries without a verdict have the lowest."""
    query = (
        select(SubmissionJob.job_id, Summary.needs_review, Summary.risk)
        .join(Summary, Summary.job_id == SubmissionJob.job_id)
        .where(SubmissionJob.submission_id == submission_id)
        .order_by(SubmissionJob.job_id, Summary.id)
    )
    with reading(database) as connection:
        return {
            row.job_id: (bool(row.needs_review), -1.0 if row.risk is None else row.risk)
            for row in connection.execute(query)
        }


def _read_summaries(database: Engine, submission_id: int, drawn: Mapping[int, str]) -> Iterator[dict[str, Any]]:
    """A row of the review for each job, with its newest summary."""
    job_ids = list(drawn)
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
            cells = (row.id, row.external_id, row.text, row.summary, "", "", "", drawn[row.id])
            yield dict(zip((*REVIEW_COLUMNS, *_MORE_COLUMNS), cells, strict=True))


def read_reviewed(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Each row of a reviewed file with its file and line; SourceError if it is not one."""
    if not path.is_file():
        raise SourceError(f"{path}: there is no such file; `aftercall review export` writes one")
    return read_rows(path, set(REVIEW_COLUMNS), "what `aftercall review export` wrote")
