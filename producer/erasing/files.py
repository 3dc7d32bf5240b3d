"""Erases a conversation from files: of the spool, of reviews and training, of judgements, and of those named.

A file is written anew without the rows concerned. What cannot be read is left alone and reported.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aftercall.files import write_whole
from aftercall.settings import Settings
from producer.erasing.target import Target, digest

#: What a CSV of ours has at least one of, besides `id`: results, reviews, training files.
_OUR_COLUMNS = frozenset(("summary", "conversation"))
_SPOOLED = frozenset((".json", ".part", ".refused"))
_MAX_FIELD_CHARS = 16_000_000


@dataclass(frozen=True, slots=True)
class Change:
    """What was done to one file."""

    path: Path
    num_rows: int
    #: Of the file as it was before.
    digest: str
    #: Why it was left as it is; empty if it was changed.
    problem: str = ""


#: Takes a file's text; returns it without the conversation and the number of rows taken; None: not a file of this kind.
_Eraser = Callable[[str, Target], tuple[str, int] | None]


def erase_files(settings: Settings, target: Target, named: Iterable[Path]) -> list[Change]:
    """Erase a conversation from the files under the data folder, and from those that the user named."""
    spooled = {path for path in _files(settings.spool_dir) if path.suffix in _SPOOLED}
    kept = {path for path in _files(settings.data_dir) if path.suffix in (".csv", ".json", ".jsonl")} - spooled
    changes = [_erase_file(path, target, _erase_spooled) for path in sorted(spooled)]
    for path in sorted(kept | {path.resolve() for path in named}):
        eraser = {".csv": _erase_csv, ".json": _erase_json}.get(path.suffix, _erase_jsonl)
        changes.append(_erase_file(path, target, eraser))
    return [change for change in changes if change.num_rows or change.problem]


def _files(folder: Path) -> Iterator[Path]:
    return (path.resolve() for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _erase_file(path: Path, target: Target, eraser: _Eraser) -> Change:
    try:
        content = path.read_bytes()
        before = digest(content.decode("utf-8", errors="surrogateescape"))
        erased = eraser(content.decode("utf-8-sig"), target)
        if erased is None or not erased[1]:
            return Change(path, 0, before, _suspicion(content, target) if erased is None else "")
        text, num_rows = erased
        if text:
            write_whole(path, text.encode(), is_private=not path.stat().st_mode & 0o077)
        else:
            path.unlink()
    except (OSError, ValueError, RecursionError, csv.Error) as error:
        return Change(path, 0, "", f"left as it is, look at it yourself: {_said(error)}")
    return Change(path, num_rows, before)


def _said(error: Exception) -> str:
    # Only the system's own words: what a parser says may quote the file.
    return error.strerror or "unreadable" if isinstance(error, OSError) else f"unreadable ({type(error).__name__})"


def _suspicion(content: bytes, target: Target) -> str:
    """Whether a file of another kind seems to hold it."""
    parts = [key.encode() for key in target.job_keys] + [text.encode()[:200] for text in target.texts]
    return "left as it is, but seems to hold it: look at it yourself" if any(p in content for p in parts) else ""


def _erase_spooled(text: str, target: Target) -> tuple[str, int] | None:
    """A list of summaries that wait for the database, each with its job's key."""
    rows = json.loads(text)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        return None
    kept = [row for row in rows if row.get("job_key") not in target.job_keys]
    return json.dumps(kept) if kept else "", len(rows) - len(kept)


def _erase_csv(text: str, target: Target) -> tuple[str, int] | None:
    csv.field_size_limit(_MAX_FIELD_CHARS)
    reader = csv.DictReader(io.StringIO(text, newline=""))
    columns = reader.fieldnames or []
    if not _OUR_COLUMNS & set(columns):
        return None
    rows = list(reader)
    kept = [row for row in rows if not target.is_row(row)]
    written = io.StringIO(newline="")
    writer = csv.DictWriter(written, columns, restval="", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(kept)
    return written.getvalue(), len(rows) - len(kept)


def _erase_jsonl(text: str, target: Target) -> tuple[str, int] | None:
    lines = [line for line in text.split("\n") if line.strip()]
    rows = [json.loads(line) for line in lines]
    if not all(isinstance(row, dict) for row in rows):
        return None
    kept = [line for line, row in zip(lines, rows, strict=True) if not target.is_row(_as_text(row))]
    return "".join(f"{line}\n" for line in kept), len(lines) - len(kept)


def _as_text(row: dict[str, Any]) -> dict[str, str]:
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in row.items()}


def _erase_json(text: str, target: Target) -> tuple[str, int] | None:
    """Judgements and reports: an entry about the conversation stays, so that figures stay right, without its words."""
    document = json.loads(text)
    num_rows = _blank(document, target) if target.is_everywhere else 0
    return json.dumps(document, indent=1, ensure_ascii=False), num_rows


def _blank(node: Any, target: Target) -> int:
    if isinstance(node, list):
        return sum(_blank(each, target) for each in node)
    if not isinstance(node, dict):
        return 0
    if node.get("conversation_id") == target.external_id:
        node |= {name: "" for name, value in node.items() if isinstance(value, str)}
        node["conversation_id"] = f"erased {digest(target.external_id)[:16]}"
        return 1
    return sum(_blank(each, target) for each in node.values())
