"""The file with a night's summaries, as `aftercall run` writes it. What another source left there is kept beside it."""

import csv
from pathlib import Path

from sqlalchemy import Engine

from aftercall.ledger import account
from producer.export import export, neutralise


def results_path(source: str) -> Path:
    """Where the summaries of a source go if nothing else is said: here, under its name.

    An ending with a digit, such as a date, is what one night's file has for itself, and stays.
    """
    name = Path("stdin" if source == "-" else Path(source).name.removesuffix(".gz"))
    return Path(f"{name.stem if name.suffix[1:].isalpha() else name}.summaries.csv")


def write_results(database: Engine, submission_id: int, out: Path) -> Path | None:
    """Write a submission's summaries with what made them; returns where an older file with others is now, if so.

    Two sources of one name in two folders have one results file.
    """
    older_path = None
    if out.is_file() and not _are_in(out, database, submission_id):
        older_path = out.rename(out.with_name(f"{out.name}~"))
    export(database, submission_id, out, "csv", with_provenance=True)
    return older_path


def _are_in(older: Path, database: Engine, submission_id: int) -> bool:
    """Whether the submission has what the older file has: its conversations in their order, with their summaries."""
    results = account.results(database, submission_id)
    with older.open(encoding="utf-8", errors="replace", newline="") as file:
        for row in csv.DictReader(file):
            result = next(results, None)
            if result is None or row.get("id") != neutralise(result.external_id):
                return False
            summary = result.summary.text if result.summary else ""
            if row.get("summary") not in (None, "", neutralise(summary)):
                return False
    return True
