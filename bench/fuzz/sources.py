"""Source files: each is read or refused with a sentence, and each of its rows comes out or is rejected with a reason.

Whatever comes out, cleaned, is something that a database takes.
"""

import csv
import io
from pathlib import Path
from random import Random
from typing import Any

from aftercall.conversation import parse_turns
from bench.fuzz.harness import Findings, Target, is_sentence
from bench.fuzz.ugly import make_ugly
from producer.clean import clean_conversation
from producer.source import Rejected, Source, SourceOptions, SourceRow, open_source

#: What the caller may tell of a source, right or wrong.
OPTIONS: tuple[dict[str, Any], ...] = (
    *({},) * 8,
    {"max_conversation_chars": 20},
    {"delimiter": ","},
    {"delimiter": "tab"},
    {"encoding": "utf-8"},
    {"encoding": "cp1252"},
    {"encoding": "utf-16-le"},
    {"mapping": {"id": "id", "transcript": "transcript"}},
)


def _make(rng: Random) -> tuple[bytes, dict[str, Any]]:
    return make_ugly(rng), rng.choice(OPTIONS)


def _read(folder: Path, data: bytes, told: dict[str, Any], findings: Findings) -> None:
    path = folder / "export.csv"
    path.write_bytes(data)
    with open_source(str(path), SourceOptions(**told)) as source:
        _check(source, findings)


def _check(source: Source, findings: Findings) -> None:
    outcomes = list(source)
    rows = [outcome for outcome in outcomes if isinstance(outcome, SourceRow)]
    rejected = [outcome for outcome in outcomes if isinstance(outcome, Rejected)]
    findings.num_rows += len(rows)
    findings.num_rejected += len(rejected)
    assert outcomes, "a source that was opened has rows"
    assert outcomes == list(source), "read again, it is the same"
    _check_account(source, rows, rejected)
    for row in rows:
        _check_row(row)
    for each in rejected:
        assert each.line >= 1 and is_sentence(each.reason), f"no sentence: {each.reason!r}"
        csv.writer(io.TextIOWrapper(io.BytesIO(), "utf-8")).writerow([each.line, each.reason, *each.row])


def _check_account(source: Source, rows: list[SourceRow], rejected: list[Rejected]) -> None:
    """Every record is in a conversation, rejected, or counted as dropped; a tweet may open several conversations."""
    records = [record for part in source._parts for record in part.records.records()]
    num_records = len(records)
    num_read = sum(1 if source.shape == "conversations" else len(row.conversation.turns) for row in rows)
    num_dropped = source.account.dropped.total() if source.shape == "turns" else 0
    account = f"{num_records} records, {num_read} read, {len(rejected)} rejected, {num_dropped} dropped"
    assert num_read + len(rejected) + num_dropped >= num_records, account
    assert source.shape == "tweets" or num_read + len(rejected) <= num_records, account


def _check_row(row: SourceRow) -> None:
    cleaned = clean_conversation(row.conversation)
    assert clean_conversation(cleaned) == cleaned, "cleaned again, it is the same"
    assert parse_turns(cleaned.text) == cleaned.turns, "a line is a turn"
    stored = f"{row.conversation.external_id}{cleaned.text}".encode()
    assert b"\0" not in stored, "no database takes NUL"
    assert row.line >= 1


SOURCES = Target("sources", _make, _read)
