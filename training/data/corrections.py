"""The training file that corrected summaries are added to; its other rows stay unchanged."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from aftercall.errors import SourceError
from producer.output import check_replaceable, write_out
from training.data.csv_rows import read_rows
from training.data.dataset import read_training_csv
from training.data.labelled import SERVED_COLUMN

#: Who wrote a summary; empty for references that no reviewer wrote.
REVIEWER = "reviewer"
#: The reviewer's reason for a correction.
REASON = "reason"
#: What a correction adds to a training file's own columns.
_ADDED_COLUMNS = (REVIEWER, SERVED_COLUMN, REASON)
TRAINING_COLUMNS = ("id", "conversation", "summary", *_ADDED_COLUMNS)


@dataclass(frozen=True, slots=True)
class Correction:
    """A summary written by a reviewer."""

    external_id: str
    #: The cleaned conversation.
    conversation: str
    summary: str
    reviewer: str
    #: The summary that was corrected, as it was served.
    served: str
    #: Empty if the reviewer gave none.
    reason: str = ""


@dataclass(frozen=True, slots=True)
class TrainingFile:
    """A CSV of conversations and their summaries, one reference per row."""

    path: Path
    #: May include columns of the user's own, and may lack `id`.
    columns: tuple[str, ...]
    #: Each row with its cleaned conversation's text.
    rows: tuple[tuple[str, dict[str, str]], ...]

    def add(self, corrections: Sequence[Correction]) -> int:
        """Write it with the corrections added; returns its number of rows.

        Of a corrected conversation, the rows of other reviewers stay; those without a reviewer, and earlier rows of
        the same reviewer, are replaced.
        """
        replaced = {(correction.conversation, who) for correction in corrections for who in ("", correction.reviewer)}
        rows = [row for text, row in self.rows if (text, row.get(REVIEWER) or "") not in replaced]
        # The same summary twice from one reviewer is one row.
        rows += [
            {
                "id": correction.external_id,
                "conversation": correction.conversation,
                "summary": correction.summary,
                REVIEWER: correction.reviewer,
                SERVED_COLUMN: correction.served,
                REASON: correction.reason,
            }
            for correction in dict.fromkeys(corrections)
        ]
        columns = tuple(dict.fromkeys((*self.columns, *_ADDED_COLUMNS)))

        def write(file: TextIO) -> int:
            writer = csv.DictWriter(file, columns, restval="", extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)
            return len(rows)

        # No expected header: the file was already read as a training file.
        return write_out(self.path, (), write)


def open_training_file(path: Path) -> TrainingFile:
    """Open the training file at `path`, which may not exist yet.

    Raises SourceError if it is not valid training data, AftercallError if it cannot be written.
    """
    if path.suffix != ".csv":
        raise SourceError(f"{path}: a training file of conversations and summaries ends in .csv; name it so")
    check_replaceable(path, ())
    is_new = not path.exists() or path.stat().st_size == 0
    rows = [] if is_new else [row for _, row in read_rows(path, {"conversation", "summary"}, "a training file")]
    if not rows:
        return TrainingFile(path, TRAINING_COLUMNS, ())
    texts = [example.text for example in read_training_csv(path)]
    return TrainingFile(path, tuple(name for name in rows[0] if name), tuple(zip(texts, rows, strict=True)))
