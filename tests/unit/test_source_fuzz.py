"""Ugly files, for a few seconds (`python -m bench.fuzz` goes on for longer), and those that broke something once."""

from pathlib import Path
from random import Random
from typing import Any

import pytest

from bench.fuzz import Findings, breakage, fuzz


def test_ugly_files_break_nothing() -> None:
    found = fuzz(Random(0), lambda findings: findings.num_files == 300)
    assert found.broken == {}
    # Each of the three ends was come to.
    assert found.num_refused and found.num_rows and found.num_rejected


def test_what_breaks_is_found_out_and_made_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.fuzz.clean_conversation", lambda conversation: conversation)
    # How small it gets is not to hang on how quick the machine is.
    monkeypatch.setattr("bench.fuzz.MAX_SHRINK_S", 60.0)
    found = fuzz(Random(0), lambda findings: bool(findings.broken))
    [(data, _)] = found.broken.values()
    assert len(data) < 200


@pytest.mark.parametrize(
    ("data", "told"),
    [
        # The message offered the header's words to be typed, whatever they were.
        (b'{"ticket_id":\x0b"1", "inbound": true, "text": "a b"}', {"delimiter": ","}),
        (b"con" + b"ve" * 5_000, {}),
        # The csv module's complaint names the delimiter as it is.
        (b'conversationid\ttext\t\n""{', {}),
        # One NUL made the whole file one of no text.
        (b"id,transcript\n1,user: a\n2,user: \0\n", {}),
    ],
)
def test_what_broke_once_is_taken_well(data: bytes, told: dict[str, Any], tmp_path: Path) -> None:
    assert breakage(tmp_path / "export.csv", data, told, Findings()) is None
