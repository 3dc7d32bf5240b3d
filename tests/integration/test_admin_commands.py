"""The commands of the morning after, with a Redis that answers."""

import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest

from aftercall.database import connect
from aftercall.ledger import work
from tests.fixtures.command import Answer
from tests.fixtures.workers import write_source


def test_requeue_says_what_it_did_or_that_there_was_nothing(
    aftercall: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch, redis_url: str
) -> None:
    write_source(Path("night.csv"), "ab")
    aftercall("submit", "night.csv")
    monkeypatch.setenv("AFTERCALL_REDIS_URL", redis_url)
    monkeypatch.setenv("AFTERCALL_QUEUE", "test-care-commands")
    assert aftercall("requeue").output == (
        "0 leases of silent workers ended, 0 lost messages found; 2 conversations sent\n"
    )
    assert aftercall("requeue", "1").output == "nothing to send again.\n"


def test_nobody_is_asked_where_nobody_is(aftercall: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch) -> None:
    write_source(Path("night.csv"), "a")
    aftercall("submit", "night.csv")
    database = connect("sqlite:///aftercall-data/aftercall.db")
    summary = work.SummaryRecord(
        1, "old", "text", "base", "none", "float32", "1", "1", "{}", 100, 20, "stop", 0.9, 0.5, "worker-1"
    )
    work.complete(database, [summary])
    database.dispose()
    monkeypatch.setattr(sys, "stdin", StringIO())
    answer = aftercall("resummarize", "--adapter", "old")
    assert answer.exit_code == 2
    assert answer.errors.endswith("Error: nothing is queued: there is no terminal to ask on. Add --yes.\n")
    assert aftercall("purge", "1").errors.endswith(
        "Error: nothing is deleted: there is no terminal to ask on. Add --yes.\n"
    )
