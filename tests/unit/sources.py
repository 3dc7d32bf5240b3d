"""How the tests of sources write and read one."""

import csv
import io
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from producer.source import Rejected, SourceOptions, SourceRow, open_source


def to_csv(rows: Iterable[Sequence[str]], delimiter: str = ",") -> str:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows(rows)
    return text.getvalue()


def read(path: Path, **options: Any) -> tuple[list[SourceRow], list[Rejected]]:
    """Every conversation of the file, and every rejected row."""
    with open_source(str(path), SourceOptions(**options)) as source:
        outcomes = list(source)
    return (
        [outcome for outcome in outcomes if isinstance(outcome, SourceRow)],
        [outcome for outcome in outcomes if isinstance(outcome, Rejected)],
    )


def read_text(folder: Path, text: str, **options: Any) -> tuple[list[SourceRow], list[Rejected]]:
    return read(write(folder, text), **options)


def write(folder: Path, content: str | bytes, name: str = "export.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def texts(rows: Iterable[SourceRow]) -> dict[str, str]:
    """Id to conversation, as text."""
    return {row.conversation.external_id: row.conversation.text for row in rows}


def make_zip(files: dict[str, bytes]) -> bytes:
    """A ZIP archive of these files."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()
