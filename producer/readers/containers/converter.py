"""The process that converts a workbook or a Parquet file: `converter KIND SOURCE FOLDER MAX_OUTPUT MAX_MEMORY`.

Writes one file a sheet to the folder, called 0, 1, 2 …, and prints the names of the sheets, one a line.
"""

import csv
import errno
import json
import math
import sys
from collections.abc import Iterable
from contextlib import suppress
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from producer.readers.containers.conversion import NOT_INSTALLED, TOO_LARGE, UNREADABLE

#: Excel keeps fifteen digits of a number; a longer id lost its last ones.
_MAX_EXCEL_DIGITS = 10**15
_MAX_CPU_S = 600
_BATCH_ROWS = 500


def main() -> int:
    """Convert, within the limits; the exit code says what went wrong."""
    kind, source, folder, max_output, max_memory = sys.argv[1:]
    _limit(int(max_output), int(max_memory))
    try:
        names = (_convert_workbook if kind == "workbook" else _convert_parquet)(source, Path(folder))
    except ImportError:
        return NOT_INSTALLED
    except MemoryError:
        raise
    except OSError as error:
        if error.errno == errno.EFBIG:
            return TOO_LARGE
        sys.stderr.write(str(error.strerror))
        return UNREADABLE
    except Exception as error:  # each library has its own classes for a damaged file
        sys.stderr.write(" ".join(str(error).split()))
        return UNREADABLE
    sys.stdout.write("".join(f"{' '.join(name.split())}\n" for name in names))
    return 0


def _limit(max_output: int, max_memory: int) -> None:
    with suppress(ImportError, ValueError, OSError):  # not every system has these limits
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (_MAX_CPU_S, _MAX_CPU_S))
        resource.setrlimit(resource.RLIMIT_FSIZE, (max_output, max_output))
        resource.setrlimit(resource.RLIMIT_AS, (max_memory, max_memory))


def _convert_workbook(source: str, folder: Path) -> list[str]:
    from python_calamine import CalamineWorkbook, SheetVisibleEnum

    names: list[str] = []
    with CalamineWorkbook.from_path(source) as workbook:
        visible = [sheet.name for sheet in workbook.sheets_metadata if sheet.visible == SheetVisibleEnum.Visible]
        for name in visible or workbook.sheet_names:
            sheet = workbook.get_sheet_by_name(name)
            if sheet.start is None:
                continue
            with (folder / str(len(names))).open("w", encoding="utf-8", newline="") as file:
                file.write("\n" * sheet.start[0])
                csv.writer(file).writerows(map(_cells, sheet.iter_rows()))
            names.append(name)
    if not names:
        raise ValueError("there is nothing in its sheets")
    return names


def _cells(row: Iterable[Any]) -> list[str]:
    cells = [_cell(value) for value in row]
    return cells if any(cells) else []


def _cell(value: Any) -> str:
    """A cell's value as it would stand in a CSV file."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return _number(value)
    if isinstance(value, datetime):
        return value.isoformat(" ")
    return value.isoformat() if isinstance(value, date | time) else str(value)


def _number(value: float) -> str:
    if abs(value) >= _MAX_EXCEL_DIGITS:
        return f"{value:.14E}"
    return str(int(value)) if value == int(value) else repr(value)


def _convert_parquet(source: str, folder: Path) -> list[str]:
    from pyarrow import parquet

    with parquet.ParquetFile(source) as table, (folder / "0").open("w", encoding="utf-8") as file:
        for batch in table.iter_batches(batch_size=_BATCH_ROWS):
            for row in batch.to_pylist():
                file.write(json.dumps(_plain(row), ensure_ascii=False, default=_text))
                file.write("\n")
    return ["rows"]


def _plain(value: Any) -> Any:
    """The value without floats that are no numbers, which JSON has not."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return list(map(_plain, value)) if isinstance(value, list) else value


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value.isoformat() if isinstance(value, date | time) else str(value)


if __name__ == "__main__":
    sys.exit(main())
