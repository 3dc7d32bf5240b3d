"""The file of summaries that `aftercall run` writes. An older one of another source is set aside."""

import csv
from pathlib import Path

from sqlalchemy import Engine

from aftercall.files import set_aside
from aftercall.ledger import account
from producer.export import export
from producer.formulas import guard


def results_path(source: str) -> Path:
    """The default file for a source's summaries: in the current folder, under the source's name.

    An ending with a digit, such as a date, tells one night's file from another's, so it stays.
    """
    name = Path("stdin" if source == "-" else Path(source).name.removesuffix(".gz"))
    return Path(f"{name.stem if name.suffix[1:].isalpha() else name}.summaries.csv")


def write_results(database: Engine, submission_id: int, out: Path) -> Path | None:
    """Write a submission's summaries with their provenance; returns where an older file was moved to, if one was.

    Two sources with the same name in two folders share one results file. So an older file that does not hold the same
    conversations and summaries is set aside.
    """
    older_path = None
    if out.is_file() and not _are_in(out, database, submission_id):
        older_path = set_aside(out)
    export(database, submission_id, out, "csv", with_provenance=True)
    return older_path


def _are_in(older: Path, database: Engine, submission_id: int) -> bool:
    """Whether the submission contains what the older file does: the same conversations in order, the same summaries."""
    results = account.results(database, submission_id)
    with older.open(encoding="utf-8", errors="replace", newline="") as file:
        for row in csv.DictReader(file):
            result = next(results, None)
            if result is None or row.get("id") != guard(result.external_id):
                return False
            summary = result.summary.text if result.summary else ""
            if row.get("summary") not in (None, "", guard(summary)):
                return False
    return True
