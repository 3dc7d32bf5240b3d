"""A night with real servers: three files, a killed command, a killed worker, one deadline missed and one met."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine

from aftercall.ledger import account
from aftercall.settings import Settings
from producer.night.journal import JOURNAL_NAME
from producer.night.lock import night_lock
from producer.night.units import NO_RESTART
from tests.fixtures.command import Answer
from tests.fixtures.json_schemas import Json, assert_adds_up, read_valid
from tests.fixtures.workers import WorkerStarter, conversation_text, pass_time, wait_until, write_source

SQLITE_ONLY = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
FAR = "2100-01-01T05:30"
FOLDERS = ("--inbox", "in", "--outbox", "out", "--archive", "archive", "--settle", "0s")


@pytest.fixture
def command(command: Callable[..., Answer]) -> Callable[..., Answer]:
    """The command on the servers of the test, with an inbox."""
    Path("in").mkdir()
    return command


def fill_inbox() -> None:
    """A good file with one conversation that fails, one that overlaps it, a broken one, and one still written."""
    texts = {"poison": "Customer: POISON my order did not arrive yet\n"}
    good = [*(f"c{number}" for number in range(10)), "poison"]
    write_source(Path("in/good.csv"), good, lambda each: texts.get(each, conversation_text(each)))
    write_source(Path("in/overlap.csv"), [f"c{number}" for number in range(5, 15)])
    Path("in/broken.csv").write_text("colour,weight\nred,3\n")
    Path("in/late.csv.part").write_text("conversation_id,tran")


def states(told: Json) -> dict[str, str]:
    """What became of each file."""
    return {each["name"]: each["state"] for each in told["files"]}


def start_night(folder: Path) -> "subprocess.Popen[str]":
    """The command as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "aftercall", "night", *FOLDERS, "--deadline", FAR],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@SQLITE_ONLY
def test_a_night_survives_kills_and_misses_one_deadline_and_meets_the_next(
    command: Callable[..., Answer], database: Engine, settings: Settings, start_worker: WorkerStarter, tmp_path: Path
) -> None:
    fill_inbox()
    killed = start_night(tmp_path)
    journal = tmp_path / "out" / JOURNAL_NAME
    wait_until(lambda: journal.exists() and len(json.loads(journal.read_text())) == 2, "both files submitted")
    locked_out = command("night", *FOLDERS)
    killed.kill()
    killed.communicate()
    assert locked_out.exit_code == 16
    assert f"process {killed.pid} on" in locked_out.errors

    # A worker holds conversations and finishes nothing: the deadline passes.
    held = start_worker(is_held=True)
    wait_until(lambda: account.account(database, 1).running > 0, "a worker holds conversations")
    soon = datetime.fromtimestamp(time.time() + 2).isoformat()
    missed = command("night", *FOLDERS, "--deadline", soon, "--json")
    told = read_valid("night", missed.output)
    assert (missed.exit_code, told["exit_code"], told["time_up"]) == (15, 15, True)
    assert states(told) == {
        "good.csv": "open", "overlap.csv": "open", "broken.csv": "unreadable", "late.csv.part": "unsettled"
    }  # fmt: skip
    assert {each["deadline"]["verdict"] for each in told["status"]["submissions"]} == {"missed"}
    assert sorted(path.name for path in Path("in").iterdir()) == ["good.csv", "late.csv.part", "overlap.csv"]
    assert Path("archive/unreadable/broken.csv").read_text().startswith("colour")
    page = Path(told["report_file"]).read_text()
    assert "The night was not over yet" in page
    assert "broken.csv</strong> could not be read" in page

    # It is killed with what it holds. Another one does the rest.
    held.kill()
    pass_time(database, settings.lease_s)
    start_worker()
    met = command("night", *FOLDERS, "--deadline", FAR, "--json")
    told = read_valid("night", met.output)
    assert (met.exit_code, told["time_up"]) == (10, False)
    assert states(told) == {"good.csv": "done", "overlap.csv": "done", "late.csv.part": "unsettled"}
    assert {each["deadline"]["verdict"] for each in told["status"]["submissions"]} == {"met"}
    for each in told["status"]["submissions"]:
        assert_adds_up(each["counts"])
    assert (told["status"]["total"]["done"], told["status"]["total"]["failed"]) == (20, 1)
    assert sorted(path.name for path in Path("in").iterdir()) == ["late.csv.part"]
    assert sorted(path.name for path in Path("archive").iterdir()) == ["good.csv", "overlap.csv", "unreadable"]
    with Path("out/overlap.csv.summaries.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == [f"c{number}" for number in range(5, 15)]
    assert all(f"order {row['id']} did" in row["summary"] for row in rows)
    page = Path(told["report_file"]).read_text()
    assert "before the deadline" in page
    assert "engine_error" in page
    assert not journal.exists()

    again = command("night", *FOLDERS, "--json")
    told = read_valid("night", again.output)
    assert (again.exit_code, states(told), told["status"]) == (0, {"late.csv.part": "unsettled"}, None)


@SQLITE_ONLY
def test_without_an_archive_a_finished_file_is_nothing_new(
    command: Callable[..., Answer], database: Engine, start_worker: WorkerStarter
) -> None:
    write_source(Path("in/night.csv"), ["a", "b"])
    start_worker()
    arguments = ("night", "--inbox", "in", "--outbox", "out", "--settle", "0s", "--json")
    assert states(read_valid("night", command(*arguments).output)) == {"night.csv": "done"}
    assert states(read_valid("night", command(*arguments).output)) == {"night.csv": "nothing_new"}

    purged = command(*arguments, "--purge-older-than", "0h")
    assert read_valid("night", purged.output)["purged_submissions"] == 1


@SQLITE_ONLY
def test_a_file_that_grows_is_left_for_the_next_night(command: Callable[..., Answer], database: Engine) -> None:
    write_source(Path("in/night.csv"), ["a"])
    told = read_valid("night", command("night", "--inbox", "in", "--outbox", "out", "--json").output)
    assert states(told) == {"night.csv": "unsettled"}
    assert account.submissions(database) == []


def test_the_lock_ends_with_its_holder(tmp_path: Path) -> None:
    with night_lock(tmp_path):
        pass
    with night_lock(tmp_path):
        assert json.loads((tmp_path / ".aftercall-night.lock").read_text())["pid"] == os.getpid()


@SQLITE_ONLY
def test_sigterm_ends_a_night_in_order(command: Callable[..., Answer], database: Engine, tmp_path: Path) -> None:
    write_source(Path("in/night.csv"), ["a"])
    process = start_night(tmp_path)
    wait_until(lambda: (tmp_path / "out" / JOURNAL_NAME).exists(), "the file submitted")
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert "Run the same command again" in output


def test_the_units_are_printed_and_systemd_takes_them(aftercall: Callable[..., Answer], tmp_path: Path) -> None:
    answer = aftercall(
        "night", "--inbox", "an inbox", "--outbox", "out", "--deadline", "05:30", "--install-timer", "--at", "22:15"
    )
    assert answer.exit_code == 0
    service, timer = answer.output.split("# /etc/systemd/system/aftercall-night.timer\n")
    assert f'--inbox "{tmp_path / "an inbox"}"' in service
    assert "OnCalendar=*-*-* 22:15:00" in timer
    assert f"RestartPreventExitStatus={' '.join(map(str, NO_RESTART))}" in service
    assert "EnvironmentFile=" in service
    assert "TimeoutStopSec=" in service

    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    (tmp_path / "aftercall-night.service").write_text(service)
    (tmp_path / "aftercall-night.timer").write_text(timer)
    checked = subprocess.run(
        [analyze, "verify", "aftercall-night.service", "aftercall-night.timer"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    assert "aftercall-night" not in checked.stderr
