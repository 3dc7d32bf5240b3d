"""The log of reviews: what each reviewer found about each summary, accepted ones included.

It lies next to the training file of the corrections, as NAME.reviews.csv. It has no conversation: the summary as it was
served, the correction, and by which adapter, from which source and for which reason.
"""

import csv
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TextIO

from aftercall.errors import SourceError
from producer.output import write_out
from training.data.csv_rows import read_rows

APPROVED = "approved"
CORRECTED = "corrected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """One reviewer's finding about one summary."""

    job: str
    #: The conversation's own id; `aftercall erase` finds the row by it.
    id: str
    reviewer: str
    #: As it was served.
    summary: str
    #: `approved`, which is also a row that was left as it was, or `corrected`.
    decision: str
    #: The correction; empty if approved.
    corrected: str
    #: The reviewer's reason; empty if none was given.
    reason: str
    #: Digest of the adapter that wrote the summary; empty: the base model alone.
    adapter: str
    #: The source's name without numbers, such as `chat` of chat-2026-11-27.csv.
    channel: str
    #: The codes of the summary's own verdict, apart by a space.
    flags: str
    #: `risk` or `control`; empty for exports of earlier versions.
    drawn: str
    #: Day of the import.
    day: str

    @property
    def is_approved(self) -> bool:
        """Whether the summary was served as it should be."""
        return self.decision == APPROVED

    @property
    def edit_share(self) -> float:
        """Share of words that the correction changed, 0 to 1."""
        return 0.0 if self.is_approved else measure_edit(self.summary, self.corrected)


COLUMNS = tuple(field.name for field in fields(Review))


def log_path(training_file: Path) -> Path:
    """Where the reviews behind a training file are logged."""
    return training_file.with_name(f"{training_file.stem}.reviews.csv")


def read_log(path: Path) -> list[Review]:
    """The reviews in a log; SourceError if it is missing or not one."""
    if not path.is_file():
        raise SourceError(f"{path}: there is no such file; `aftercall review import --out NAME.csv` writes one")
    rows = read_rows(path, set(COLUMNS), "a log of reviews that `aftercall review import` wrote")
    return [Review(**{name: row[name] for name in COLUMNS}) for _, row in rows]


def add_to_log(path: Path, reviews: Sequence[Review]) -> None:
    """Add reviews to a log, which may not exist yet; a later review by the same person replaces the earlier one."""
    known = read_log(path) if path.exists() else []
    latest = {(review.job, review.reviewer, review.summary): review for review in (*known, *reviews)}

    def write(file: TextIO) -> int:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(map(asdict, latest.values()))
        return len(latest)

    write_out(path, COLUMNS, write)


def name_channel(source: str) -> str:
    """A source's name without its folder, ending and numbers; the whole name if nothing is left."""
    stem = Path(source).name.partition(".")[0]
    return " ".join(re.findall(r"[^\W\d_]+", stem)) or stem


def join_flags(reasons: str | None) -> str:
    """The codes of a summary's verdict, which the ledger stores as a JSON list."""
    return " ".join(json.loads(reasons)) if reasons else ""


def measure_edit(before: str, after: str) -> float:
    """Word-level edit distance over the longer one's words, 0 to 1."""
    ours, theirs = before.split(), after.split()
    if not ours and not theirs:
        return 0.0
    return _distance(ours, theirs) / max(len(ours), len(theirs))


def _distance(ours: Sequence[str], theirs: Iterable[str]) -> int:
    """Levenshtein's distance."""
    row = list(range(len(ours) + 1))
    for number, word in enumerate(theirs, start=1):
        previous, row[0] = row[0], number
        for index, own in enumerate(ours, start=1):
            previous, row[index] = row[index], min(row[index] + 1, row[index - 1] + 1, previous + (own != word))
    return row[-1]
