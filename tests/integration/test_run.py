"""`aftercall run` as a user meets it: the packaged model, a real queue, one command."""

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from aftercall.database import connect
from aftercall.ledger import account
from tests.fixtures.workers import wait_until

pytestmark = pytest.mark.timeout(600)

#: Of a whole night with the packaged model; a quarter of a minute where nobody else is at work.
NIGHT_S = 240

#: A date after a dot, and what a terminal library takes for markup: both belong to the name.
NAME = "night.2026-11-21[old]"

CONVERSATIONS = {
    "A-1": "Customer: Hi, my internet has been down since this morning and I work from home.\n"
    "Agent: I am sorry. There is an outage in your street, it will be mended by 6 pm.\n"
    "Customer: Thank you, I will wait.",
    "A-2": "Customer: Where is my parcel 4711? It should have come on Monday.\n"
    "Agent: It is delayed at customs and will come on Thursday.",
    "A-3": "Customer: 👋 https://example.com",
    "A-4": "",
}


@pytest.fixture
def folder(tmp_path: Path, packaged_model_dir: Path) -> Path:
    """A folder with a source, and a data folder that has the converted model already."""
    with (tmp_path / f"{NAME}.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "transcript"])
        writer.writerows(CONVERSATIONS.items())
    (tmp_path / "aftercall-data").mkdir()
    (tmp_path / "aftercall-data" / "models").symlink_to(packaged_model_dir.parent)
    return tmp_path


def start(folder: Path, drain_timeout_s: float = 1.0) -> subprocess.Popen[str]:
    """Run the command as a shell would, with quick endings."""
    timeout = str(drain_timeout_s)
    return subprocess.Popen(
        [sys.executable, "-m", "aftercall", "run", f"{NAME}.csv"],
        cwd=folder,
        env={**os.environ, "AFTERCALL_MAX_NEW_TOKENS": "40", "AFTERCALL_DRAIN_TIMEOUT_S": timeout, "COLUMNS": "100"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def read_results(folder: Path) -> dict[str, dict[str, str]]:
    """The results file, by id."""
    with (folder / f"{NAME}.summaries.csv").open(newline="") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


def children_of(pid: int) -> list[str]:
    """The command lines of the processes that a process started."""
    return subprocess.run(
        ["ps", "--ppid", str(pid), "-o", "args="], capture_output=True, text=True, check=False
    ).stdout.splitlines()


def test_a_night_from_source_to_summaries(folder: Path) -> None:
    process = start(folder)
    output, _ = process.communicate(timeout=NIGHT_S)

    # One row was rejected: the rest is done, and the exit code says so.
    assert process.returncode == 4, output
    assert "2 done" in output
    assert "1 with nothing to summarize" in output
    assert f"summaries  {NAME}.summaries.csv" in output
    assert f"rejected   {NAME}.csv.rejected.csv" in output
    rows = read_results(folder)
    assert list(rows) == ["A-1", "A-2", "A-3"]
    assert {row["state"] for row in rows.values()} == {"done", "insufficient_content"}
    assert len(rows["A-1"]["summary"].split()) >= 4
    assert rows["A-1"]["base_model"] == "smollm2-135m-instruct"
    assert rows["A-3"]["summary"] == ""
    rejected = (folder / f"{NAME}.csv.rejected.csv").read_text()
    assert "A-4" in rejected
    assert "the transcript is empty" in rejected

    again = start(folder)
    output, _ = again.communicate(timeout=NIGHT_S)
    assert " 0 new" in output
    assert read_results(folder) == rows


def test_ctrl_c_stops_everything_and_the_same_command_goes_on(folder: Path) -> None:
    process = start(folder)
    wait_until(lambda: any("worker" in line for line in children_of(process.pid)), "a worker started", NIGHT_S)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=NIGHT_S)

    assert process.returncode == 130, output
    assert f"Go on with the same command: aftercall run '{NAME}.csv'" in output
    assert children_of(process.pid) == []

    process = start(folder)
    output, _ = process.communicate(timeout=NIGHT_S)
    assert "2 done" in output
    assert read_results(folder)["A-2"]["state"] == "done"


def test_ctrl_c_at_the_last_conversations_lets_them_finish_and_ends_as_usual(folder: Path) -> None:
    process = start(folder, drain_timeout_s=NIGHT_S)
    wait_until(lambda: any("worker" in line for line in children_of(process.pid)), "a worker started", NIGHT_S)
    database = connect(f"sqlite:///{folder / 'aftercall-data' / 'aftercall.db'}")
    wait_until(lambda: account.account(database, 1).waiting == 0, "everything in hand", NIGHT_S)
    database.dispose()
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=NIGHT_S)

    assert process.returncode == 4, output
    assert "2 done" in output
    assert {row["state"] for row in read_results(folder).values()} == {"done", "insufficient_content"}
