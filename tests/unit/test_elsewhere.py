"""Commands in a folder where nothing was submitted: they say where they looked, and leave nothing there."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fixtures.command import Answer


@pytest.mark.parametrize(
    ("args", "exit_code"),
    [
        (["status"], 0),
        (["status", "1"], 11),
        (["failures"], 0),
        (["failures", "1"], 11),
        (["export", "1", "--out", "out.csv"], 11),
        (["cancel", "1"], 11),
        (["requeue", "1"], 11),
        (["requeue", "1", "--failed"], 11),
        (["requeue", "--failed"], 6),
        (["purge", "1", "--yes"], 11),
        (["purge", "--older-than", "1d", "--yes"], 11),
        (["resummarize", "--adapter", "0123456789abcdef"], 8),
        (["doctor"], 13),
        (["adapters", "list"], 0),
        (["adapters", "history"], 0),
        (["adapters", "show", "active"], 0),
        (["review", "export", "1", "--out", "review.csv"], 11),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_only_looks_makes_nothing(args: list[str], exit_code: int, aftercall: Callable[..., Answer]) -> None:
    answer = aftercall(*args)
    assert answer.exit_code == exit_code, answer.errors
    assert list(Path().iterdir()) == []


def test_status_says_where_it_looked_and_how_to_begin(
    aftercall: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert aftercall("status").output.splitlines() == [
        "nothing was submitted yet in sqlite:///aftercall-data/aftercall.db (the data folder is looked for where you "
        "stand; AFTERCALL_DATA_DIR names another).",
        "To begin: `aftercall submit SOURCE`",
    ]
    monkeypatch.setenv("AFTERCALL_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("AFTERCALL_REDIS_URL")
    said = " ".join(aftercall("status").output.split())
    assert said.endswith("/aftercall.db. To begin: `aftercall run SOURCE`")
