"""Reads CSV files that people edit, and gives each row's file and line for messages."""

import csv
from collections.abc import Iterator, Set
from pathlib import Path

from aftercall.errors import SourceError

#: Longest cell; a quote that is never closed would otherwise read the whole file into one.
MAX_CELL_CHARS = 32 << 20


def read_rows(path: Path, columns: Set[str], expected: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Each row's file and line, and its cells by column; trailing cells that a spreadsheet omitted are empty.

    Args:
        columns: the columns that must exist.
        expected: what kind of table is expected, for the message.

    Raises SourceError if a column is missing, or if the file is not a CSV in UTF-8.
    """
    # The limit is global to the process, and other readers set their own.
    csv.field_size_limit(MAX_CELL_CHARS)
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
                f"{path}: not UTF-8 ({error.reason}); save it as CSV UTF-8 in the spreadsheet program"
            ) from error
        except csv.Error as error:
            raise SourceError(f"{path}, after line {reader.line_num}: {error}; fix or remove the row") from error
