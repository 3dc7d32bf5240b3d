"""From the ledger to a file: one line a conversation, in the order of the source, with the caller's own id."""

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Literal, TextIO

from sqlalchemy import Engine

from aftercall.ledger import account
from aftercall.ledger.work import SummaryRecord
from producer.formulas import guard
from producer.openai_batch import BATCH_COLUMNS, to_batch_line
from producer.output import write_out

Format = Literal["csv", "jsonl", "openai"]

RESULT_COLUMNS = ("id", "state", "summary", "coverage", "error_code", "error")
#: The verdict and the fields of each summary.
FIELD_COLUMNS = (
    "needs_review", "reasons", "risk", "resolution", "resolution_p", "reason", "reason_p", "issue", "action",
    "follow_up", "evidence",
)  # fmt: skip
PROVENANCE_COLUMNS = tuple(
    field.name for field in fields(SummaryRecord) if field.name not in ("job_id", "text", "coverage", *FIELD_COLUMNS)
)


def export(engine: Engine, submission_id: int, out: Path, format: Format, *, with_provenance: bool) -> int:
    """Write a submission's results to `out`; `-` is stdout. Returns the number of lines.

    OpenAI's shape is fixed: it has what that API says about a completion, and no more provenance.

    Raises NotFoundError if there is no such submission, AftercallError if `out` may not be written.
    """
    account.submission(engine, submission_id)
    if format == "openai":
        lines = (
            to_batch_line(result, submission_id, number)
            for number, result in enumerate(account.results(engine, submission_id), start=1)
        )
        return write_out(out, BATCH_COLUMNS, lambda file: _write_jsonl(file, lines))
    rows = (_row(result, with_provenance=with_provenance) for result in account.results(engine, submission_id))
    columns = RESULT_COLUMNS + FIELD_COLUMNS + (PROVENANCE_COLUMNS if with_provenance else ())
    if format == "jsonl":
        return write_out(out, RESULT_COLUMNS, lambda file: _write_jsonl(file, rows))
    return write_out(out, RESULT_COLUMNS, lambda file: write_csv(file, columns, rows))


def _row(result: account.Result, *, with_provenance: bool) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(RESULT_COLUMNS + FIELD_COLUMNS)
    row |= {"id": result.external_id, "state": result.state, "error_code": result.error_code, "error": result.error}
    if result.summary is not None:
        made = asdict(result.summary)
        row |= {"summary": result.summary.text, "coverage": round(result.summary.coverage, 4)}
        row |= {column: made[column] for column in FIELD_COLUMNS}
        row |= {column: json.loads(made[column]) for column in ("reasons", "evidence") if made[column]}
        if with_provenance:
            row |= {column: made[column] for column in PROVENANCE_COLUMNS}
            row["duration_s"] = round(result.summary.duration_s, 3)
    return row


def write_csv(file: TextIO, columns: Iterable[str], rows: Iterator[dict[str, Any]]) -> int:
    """A header and the rows, no cell of which a spreadsheet program takes for a formula. Returns how many rows."""
    writer = csv.DictWriter(file, list(columns))
    writer.writeheader()
    num_lines = 0
    for row in rows:
        writer.writerow({column: guard(_flatten(cell)) for column, cell in row.items()})
        num_lines += 1
    return num_lines


def _flatten(cell: object) -> object:
    """What a spreadsheet reads: codes apart by a space, turns of a sentence by a comma, true and false in words."""
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, list):
        return " ".join(",".join(map(str, each)) or "-" if isinstance(each, list) else str(each) for each in cell)
    return cell


def _write_jsonl(file: TextIO, rows: Iterator[dict[str, Any]]) -> int:
    num_lines = 0
    for row in rows:
        file.write(json.dumps(row, ensure_ascii=False) + "\n")
        num_lines += 1
    return num_lines
