"""The commands around the queue as a user calls them, against a real Valkey and a worker process, on both databases."""

import csv
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from aftercall.settings import Settings
from tests.fixtures.workers import WorkerStarter, expected_summaries, read_status, wait_until, write_source

IDS = [f"C-{number:03d}" for number in range(40)]
Command = Callable[..., str]


@pytest.fixture
def aftercall(settings: Settings, tmp_path: Path) -> Command:
    """Calls the command as a process; returns what it printed, and fails on any exit code but the one expected."""
    environment = {**os.environ, **settings.to_environment(), "COLUMNS": "160"}

    def call(*args: str, exit_code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "aftercall", *args],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == exit_code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    return call


def test_a_night_by_hand(tmp_path: Path, aftercall: Command, start_worker: WorkerStarter) -> None:
    write_source(tmp_path / "night.csv", IDS)
    assert "40 conversations read: 40 new" in aftercall("submit", "night.csv")
    assert " 0 new" in aftercall("submit", "night.csv")
    start_worker()

    # Ends by itself, when nothing is open.
    assert "night.csv" in aftercall("status", "--watch")
    assert read_status(aftercall("status", "1")) == {"submitted": 40, "waiting": 0, "done": 40, "failed": 0}
    assert "40 conversations written to out.csv" in aftercall("export", "1", "--out", "out.csv")
    with (tmp_path / "out.csv").open(newline="") as file:
        assert {row["id"]: row["summary"] for row in csv.DictReader(file)} == expected_summaries(IDS)


def test_a_cancelled_submission_takes_nothing_more_until_it_is_requeued(
    tmp_path: Path, aftercall: Command, start_worker: WorkerStarter
) -> None:
    write_source(tmp_path / "night.csv", IDS)
    aftercall("submit", "night.csv")
    assert "submission 1 (night.csv): 40 conversations cancelled" in aftercall("cancel", "1")
    assert "aftercall requeue 1 --cancelled" in aftercall("submit", "night.csv", exit_code=1)
    assert "40 conversations queued again" in aftercall("requeue", "1", "--cancelled")
    start_worker()
    aftercall("status", "1", "--watch")
    assert read_status(aftercall("status", "1"))["done"] == 40


def test_what_failed_is_replayed_on_request_only(
    tmp_path: Path, settings: Settings, aftercall: Command, start_worker: WorkerStarter
) -> None:
    write_source(tmp_path / "night.csv", ["good", "POISON"])
    aftercall("submit", "night.csv")
    worker = start_worker()
    aftercall("status", "--watch")
    assert read_status(aftercall("status", "1")) == {"submitted": 2, "waiting": 0, "done": 1, "failed": 1}
    num_calls = worker.num_calls.total()

    assert "queued again" not in aftercall("requeue")
    assert "1 conversations queued again" in aftercall("requeue", "--failed")
    wait_until(lambda: worker.num_calls.total() == num_calls + settings.max_attempts, "all its attempts again")


def test_several_sources_in_one_call_share_what_they_have_in_common(tmp_path: Path, aftercall: Command) -> None:
    for name, ids in (("monday.csv", IDS[:20]), ("tuesday.csv", IDS[10:])):
        write_source(tmp_path / name, ids)
    told = aftercall("submit", "monday.csv", "tuesday.csv")
    assert "20 new\n" in told
    assert "30 new (10 with a text known before, whose summary is taken over)" in told
