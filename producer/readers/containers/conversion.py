"""Excel workbooks and Parquet files, converted to text by a process of its own.

Libraries that read a stranger's binary file may want any amount of memory, or crash. In a process whose memory, time
and output the system bounds, that costs a sentence. What it writes is read like any other file.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

from aftercall.errors import SourceError
from producer.readers.containers.content import Content
from producer.readers.containers.limits import Budget

Kind = Literal["workbook", "parquet"]

_NAMES = {"workbook": "Excel workbook", "parquet": "Parquet file"}
_INSTEAD = {
    "workbook": "Save it as CSV (UTF-8) and take that",
    "parquet": "Convert it to CSV or JSON Lines and take that",
}

#: Exit codes of `converter`.
NOT_INSTALLED, UNREADABLE, TOO_LARGE = 3, 4, 5


def convert(kind: Kind, content: Content, folder: Path, budget: Budget) -> Iterator[Content]:
    """The sheets of a workbook as CSV, or the rows of a Parquet file as JSON Lines.

    Raises SourceError if it cannot be read within the limits.
    """
    limits = budget.limits
    room = limits.max_source_bytes - budget.num_bytes
    command = [sys.executable, "-m", "producer.readers.containers.converter", kind, str(content.path), str(folder)]
    command += [str(room), str(limits.max_convert_bytes)]
    answer = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    if answer.returncode == TOO_LARGE:
        budget.spend(room + 1)
    if answer.returncode:
        raise SourceError(f"{content.name}: {_why(kind, answer.returncode, answer.stderr, limits.max_convert_bytes)}")
    names = answer.stdout.splitlines()
    for number, sheet in enumerate(names):
        path = folder / str(number)
        budget.spend(path.stat().st_size)
        name = f"{content.name}/{sheet}" if len(names) > 1 else content.name
        yield replace(content, name=name, path=path, is_sheet=True, is_spooled=True)


def _why(kind: Kind, code: int, said: str, max_bytes: int) -> str:
    name, instead = _NAMES[kind], _INSTEAD[kind]
    if code == NOT_INSTALLED:
        return f"to read this {name} one package more is needed: pip install 'aftercall[exports]'. {instead} otherwise."
    if code == UNREADABLE:
        return f"the {name} cannot be read ({said.strip()[-200:]}). {instead}."
    return (
        f"the {name} is too large to be read with {max_bytes:,} bytes of memory. {instead}, or raise "
        "AFTERCALL_MAX_CONVERT_BYTES."
    )
