"""The training file that corrected summaries are added to: what else stands in it stays as it is.

Knows rows and columns. It knows no ledger and no review.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from aftercall.errors import SourceError
from producer.output import check_replaceable, write_out
from training.data.csv_rows import read_rows
from training.data.dataset import load_examples

TRAINING_COLUMNS = ("id", "conversation", "summary")


@dataclass(frozen=True, slots=True)
class Correction:
    """What a person wrote of a conversation."""

    external_id: str
    summary: str


@dataclass(frozen=True, slots=True)
class TrainingFile:
    """A CSV of conversations and their summaries, one reference a row."""

    path: Path
    #: It may have more than ours, and no `id`.
    columns: tuple[str, ...]
    #: Each after its cleaned conversation.
    rows: tuple[tuple[str, dict[str, str]], ...]

    def replace(self, corrections: Mapping[str, Correction]) -> int:
        """Write it with one row for each corrected conversation, in place of all that it had; returns how many rows."""
        rows = [row for text, row in self.rows if text not in corrections]
        for text, correction in corrections.items():
            rows.append({"id": correction.external_id, "conversation": text, "summary": correction.summary})

        def write(file: TextIO) -> int:
            writer = csv.DictWriter(file, self.columns, restval="", extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)
            return len(rows)

        # Whatever it begins with: it was read as a training file.
        return write_out(self.path, (), write)


def open_training_file(path: Path) -> TrainingFile:
    """The training file at a path, where there may be none yet.

    Raises SourceError if it could not be trained on, AftercallError if it could not be written.
    """
    if path.suffix != ".csv":
        raise SourceError(f"{path}: a training file of conversations and summaries ends in .csv; name it so")
    check_replaceable(path, ())
    is_new = not path.exists() or path.stat().st_size == 0
    rows = [] if is_new else [row for _, row in read_rows(path, {"conversation", "summary"}, "a training file")]
    if not rows:
        return TrainingFile(path, TRAINING_COLUMNS, ())
    texts = [example.text for example in load_examples(str(path), "train")]
    return TrainingFile(path, tuple(name for name in rows[0] if name), tuple(zip(texts, rows, strict=True)))
