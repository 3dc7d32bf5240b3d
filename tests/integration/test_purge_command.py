"""`aftercall purge` as people meet it: what it says, what it asks, its exit codes, and killed half-way."""

import os
import pty
import signal
import subprocess
import sys

import pytest
from sqlalchemy import Engine

from aftercall.ledger import account, invariants
from aftercall.ledger.statements import BATCH_PLACES
from aftercall.settings import Settings
from tests.integration.test_ledger import submit
from tests.integration.test_purge import age, finish_all, finished, num_rows

#: The command in a process that kills itself in its third transaction, with that one's places deleted already.
KILLED_HALF_WAY = """
import os, signal, sys
from sqlalchemy import Engine, event
from aftercall.cli import main

num_before = iter(range(2))

@event.listens_for(Engine, "before_cursor_execute")
def count(connection, cursor, statement, *rest):
    if statement.startswith("DELETE FROM job") and next(num_before, None) is None:
        os.kill(os.getpid(), signal.SIGKILL)

main(sys.argv[1:])
"""


@pytest.fixture
def environment(settings: Settings) -> dict[str, str]:
    """What a command needs to find this test's ledger."""
    return {**os.environ, **settings.to_environment(), "COLUMNS": "160"}


def run_purge(environment: dict[str, str], *args: str, stdin: int = subprocess.DEVNULL) -> tuple[int, str]:
    """Exit code, and all that was said."""
    done = subprocess.run(
        [sys.executable, "-m", "aftercall", "purge", *args],
        env=environment, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120,
    )  # fmt: skip
    return done.returncode, done.stdout


def test_the_command_says_what_it_deletes_and_leaves_alone_what_is_open(
    database: Engine, environment: dict[str, str]
) -> None:
    old, shared = finished(database, "a", "b", digest="old"), finished(database, "b", "c", digest="shared")
    is_open = submit(database, "d", digest="open")
    for submission_id in (old, is_open):
        age(database, submission_id, days=15)
    before = num_rows(database)

    code, said = run_purge(environment, "--older-than", "2w", "--dry-run")
    assert (code, num_rows(database)) == (0, before)
    assert f"to delete: submission {old} (old.csv)" in said
    assert "in total: 1 submission, 1 conversation, 1 summary" in said
    assert "1 conversations stay, because another submission also holds them" in said
    assert f"submission {is_open} is not deleted" in said
    assert f"`aftercall cancel {is_open}`" in said

    code, said = run_purge(environment, "--older-than", "2w", "--yes")
    assert (code, said.splitlines()[-1]) == (16, "deleted: 1 submission, 1 conversation, 1 summary")
    assert {record.id for record in account.submissions(database)} == {shared, is_open}
    assert run_purge(environment, "--older-than", "360h", "--dry-run")[1].splitlines()[-1] == "nothing to delete"
    assert run_purge(environment, "--older-than", "2w", "--yes")[0] == 16
    assert run_purge(environment, "--older-than", "52w", "--yes") == (0, "nothing to delete\n")


def test_named_submissions_are_deleted_all_or_none(database: Engine, environment: dict[str, str]) -> None:
    first, second = finished(database, "a", digest="first"), finished(database, "b", digest="second")
    is_open = submit(database, "c", digest="open")
    before = num_rows(database)

    code, said = run_purge(environment, str(first), str(is_open), "--yes")
    assert (code, f"`aftercall cancel {is_open}`" in said) == (16, True)
    code, said = run_purge(environment, str(first), "99", "--yes")
    assert (code, "there is no submission 99" in said) == (11, True)
    assert num_rows(database) == before

    assert run_purge(environment, str(second), str(first), "--yes")[0] == 0
    assert {record.id for record in account.submissions(database)} == {is_open}


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ([], "say what to delete"),
        (["1", "--older-than", "30d"], "say what to delete"),
        (["--older-than", "30"], "'30' is not an age. Write hours, days or weeks, such as 12h, 30d or 4w."),
        (["--older-than", "-1d"], "is not an age"),
        (["1"], "there is no terminal to ask on. Add --yes."),
    ],
)
def test_what_is_not_clear_is_refused_with_a_sentence(
    database: Engine, environment: dict[str, str], args: list[str], sentence: str
) -> None:
    finished(database, "a")
    before = num_rows(database)
    code, said = run_purge(environment, *args)

    assert (code, sentence in said) == (2, True), said
    assert num_rows(database) == before


@pytest.mark.parametrize(("answer", "num_left"), [(b"y\n", 0), (b"n\n", 1), (b"\n", 1)])
def test_on_a_terminal_it_asks(database: Engine, environment: dict[str, str], answer: bytes, num_left: int) -> None:
    submission_id = finished(database, "a")
    terminal, stdin = pty.openpty()
    try:
        os.write(terminal, answer)
        code, said = run_purge(environment, str(submission_id), stdin=stdin)
    finally:
        os.close(terminal)
        os.close(stdin)

    assert (code, "delete this for good? [y/N]" in said) == (0, True)
    assert len(account.submissions(database)) == num_left


def test_killed_half_way_the_same_command_deletes_the_rest(database: Engine, environment: dict[str, str]) -> None:
    names = [str(number) for number in range(6 * BATCH_PLACES)]
    first, second = (submit(database, *names[part::2], digest=str(part)) for part in (0, 1))
    kept = submit(database, *names[:10], digest="kept")
    finish_all(database)
    before = num_rows(database)["job"]
    command = [sys.executable, "-c", KILLED_HALF_WAY, "purge", str(first), str(second), "--yes"]
    process = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, timeout=120, check=False)

    assert process.returncode == -signal.SIGKILL
    assert 10 < num_rows(database)["job"] < before
    assert invariants.violations(database) == []
    assert {record.id for record in account.submissions(database)} == {first, second, kept}

    assert run_purge(environment, str(first), str(second), "--yes")[0] == 0
    assert num_rows(database) == {"submission": 1, "submission_job": 10, "job": 10, "summary": 10}
    assert invariants.violations(database) == []
