"""What failed or is to be done again: counted as the account counts, with a next step that works."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from aftercall.database import connect, reading
from aftercall.ledger import work
from tests.fixtures.command import NO_REDIS, Answer, open_embedded
from tests.fixtures.workers import conversation_text, read_status, write_source


@pytest.fixture
def failed_night(aftercall: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch) -> None:
    """Two places of one text that failed and one that waits, on a machine where no Redis is set."""
    write_source(Path("night.csv"), "abc", lambda external_id: conversation_text("2" if external_id == "c" else "1"))
    aftercall("submit", "night.csv")
    monkeypatch.delenv("AFTERCALL_REDIS_URL")
    database = connect("sqlite:///aftercall-data/aftercall.db")
    with reading(database) as connection:
        job_id = connection.execute(text("SELECT job_id FROM submission_job WHERE external_id = 'a'")).scalar_one()
    work.claim(database, [job_id], work.Lease("w", 60.0), 3)
    work.fail(database, work.JobFailure(job_id, "engine_error", "a reason", is_final=True), "w", 3, 0.0)
    database.dispose()


@pytest.fixture
def no_redis() -> None:
    """The default address, at which nobody may listen."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", 6379)) == 0:
            pytest.skip("a Redis server listens on this machine's port 6379")


@pytest.mark.usefixtures("failed_night")
def test_failures_are_counted_in_conversations_as_status_does(aftercall: Callable[..., Answer]) -> None:
    assert read_status(aftercall("status", "1").output)["failed"] == 2
    for args in (["failures"], ["failures", "1"]):
        assert aftercall(*args).output.splitlines()[1].split()[:2] == ["2", "engine_error"]
    assert len(aftercall("failures", "--ids").output.splitlines()) == 2


@pytest.mark.usefixtures("failed_night")
def test_no_failure_to_list_is_said(aftercall: Callable[..., Answer]) -> None:
    assert aftercall("failures", "--code", "nosuch").errors == "nothing failed with nosuch\n"
    with open_embedded() as connection:
        connection.execute(text("UPDATE job SET state = 'cancelled'"))
    assert aftercall("failures", "--ids").errors == "nothing failed\n"


@pytest.mark.usefixtures("failed_night")
def test_where_no_redis_is_set_the_next_step_needs_none(
    aftercall: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "no worker is alive: `aftercall run SOURCE` does them" in aftercall("status").output
    assert aftercall("failures").output.endswith("then `aftercall run SOURCE` does them\n")
    monkeypatch.setenv("AFTERCALL_REDIS_URL", NO_REDIS)
    assert "no worker is alive: start one with `aftercall worker`" in aftercall("status").output
    assert "aftercall run" not in aftercall("failures").output


@pytest.mark.usefixtures("failed_night", "no_redis")
def test_what_failed_is_queued_again_where_no_redis_is_set(aftercall: Callable[..., Answer]) -> None:
    answer = aftercall("requeue", "--failed")
    assert answer.exit_code == 0
    assert answer.output.endswith("no Redis is set up here: `aftercall run SOURCE` does what waits\n")


@pytest.mark.usefixtures("failed_night", "no_redis")
def test_what_is_to_be_written_anew_is_queued_where_no_redis_is_set(aftercall: Callable[..., Answer]) -> None:
    database = connect("sqlite:///aftercall-data/aftercall.db")
    summary = work.SummaryRecord(
        2, "old", "text", "base", "none", "float32", "1", "1", "{}", 100, 20, "stop", 0.9, 0.5, "worker-1"
    )
    work.complete(database, [summary])
    database.dispose()
    answer = aftercall("resummarize", "--adapter", "old", "--yes")
    assert answer.exit_code == 0
    assert answer.output.splitlines()[-2:] == [
        "1 conversations queued again",
        "no Redis is set up here: `aftercall run SOURCE` does what waits",
    ]
