"""Tables that people edit: the rows of a CSV, each with where it stands. Knows columns, not what they mean."""

import csv
from collections.abc import Iterator, Set
from pathlib import Path

from aftercall.errors import SourceError
from producer.readers.delimited import MAX_RECORD_CHARS


def read_rows(path: Path, columns: Set[str], expected: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Each row by column, after its file and line; a cell that a spreadsheet left out at the end is empty.

    Args:
        columns: those that have to be there.
        expected: the table that is looked for, in words.

    Raises SourceError if a column is missing, or if the file is no CSV in UTF-8.
    """
    # The limit is the process', and others may have set theirs.
    csv.field_size_limit(MAX_RECORD_CHARS)
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, restval="")
        try:
            missing = columns - set(reader.fieldnames or ())
            if missing:
                raise SourceError(f"{path}: no column {', '.join(sorted(missing))}; expected {expected}")
            for row in reader:
                yield f"{path}, line {reader.line_num}", row
        except UnicodeDecodeError as error:
            raise SourceError(
                f"{path}: not UTF-8 ({error.reason}); in the spreadsheet program, save it as CSV UTF-8"
            ) from error
        except csv.Error as error:
            raise SourceError(f"{path}, after line {reader.line_num}: {error}; mend or remove the row") from error
