"""Nothing in the current folder is imported, whatever its name, by a command or by a process that it starts."""

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures.workers import TIMEOUT_S, wait_until

pytestmark = pytest.mark.timeout(600)

ROOT = Path(__file__).parents[2]

#: Libraries and packages of ours that a command imports.
OURS = ("celery", "redis", "kombu", "click", "sqlalchemy", "pydantic", "torch", "transformers", "peft", "numpy")
OUR_PARTS = ("worker", "producer", "training", "migrations", "adapters")
#: What Python itself imports for a command or a spawned process, and libraries look for by name.
PYTHONS = ("json", "csv", "pickle", "socket", "logging", "subprocess", "multiprocessing", "random", "celeryconfig")

TRAP = "from pathlib import Path\nPath({marker!r}).open('a').write(__name__ + '\\n')\nraise ImportError('a trap')\n"

#: From 8 MB on, a second process reads the source.
NUM_ROWS, NOTE = 9, "n" * 1_000_000


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """The file that every trap writes its name to."""
    return tmp_path / "imported"


@pytest.fixture
def folder(tmp_path: Path, marker: Path) -> Path:
    """A folder with a large source and a trap for every name."""
    folder = tmp_path / "exports"
    folder.mkdir()
    for name in (*OURS, *OUR_PARTS, *PYTHONS):
        (folder / f"{name}.py").write_text(TRAP.format(marker=str(marker)))
    with (folder / "night.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "transcript", "note"])
        for number in range(NUM_ROWS):
            rows.writerow([f"C-{number}", f"Customer: where is my order {number}?\nAgent: It comes on Monday.", NOTE])
    return folder


@pytest.fixture
def environment(redis_url: str, tiny_model_dir: Path) -> dict[str, str]:
    return {
        **os.environ,
        # As every test needs it where aftercall is not installed; -P leaves it alone.
        "PYTHONPATH": str(ROOT),
        "AFTERCALL_REDIS_URL": redis_url,
        "AFTERCALL_QUEUE": "current-folder",
        "AFTERCALL_BASE_MODEL": str(tiny_model_dir),
        "AFTERCALL_ADAPTER": "none",
        "AFTERCALL_MAX_NEW_TOKENS": "8",
        "AFTERCALL_DRAIN_TIMEOUT_S": "1",
    }


#: How a command is started: as installed, by `python -m`, and by `python -P -m`.
STARTS = {
    "installed": [str(Path(sys.executable).with_name("aftercall"))],
    "module": [sys.executable, "-m", "aftercall"],
    "safe module": [sys.executable, "-P", "-m", "aftercall"],
}


def set_trap_for_ourselves(folder: Path, marker: Path) -> None:
    """`python -m aftercall` runs an aftercall.py of the current folder by Python's own rule; nothing else may."""
    (folder / "aftercall.py").write_text(TRAP.format(marker=str(marker)))


@pytest.mark.parametrize("start", STARTS)
def test_submit_and_its_reader_import_nothing_from_the_current_folder(
    start: str, folder: Path, marker: Path, environment: dict[str, str]
) -> None:
    if start != "module":
        set_trap_for_ourselves(folder, marker)
    command = [*STARTS[start], "submit", "night.csv"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S)
    imported = marker.read_text() if marker.exists() else ""
    assert (done.returncode, imported) == (0, ""), done.stderr
    assert f"{NUM_ROWS} " in done.stdout


def test_run_and_its_worker_import_nothing_from_the_current_folder(
    folder: Path, marker: Path, environment: dict[str, str]
) -> None:
    set_trap_for_ourselves(folder, marker)
    command = [*STARTS["installed"], "run", "night.csv"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    imported = marker.read_text() if marker.exists() else ""
    assert (done.returncode, imported) == (0, ""), done.stdout + done.stderr
    with (folder / "night.summaries.csv").open(newline="") as file:
        assert [row["state"] for row in csv.DictReader(file)] == ["done"] * NUM_ROWS


def test_a_worker_imports_nothing_from_the_current_folder(
    folder: Path, marker: Path, environment: dict[str, str]
) -> None:
    set_trap_for_ourselves(folder, marker)
    log = folder / "log"
    with log.open("w") as output:
        worker = subprocess.Popen(
            [*STARTS["installed"], "worker", "--gpus", "none"],
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=output,
        )
    try:
        wait_until(lambda: " INFO serving " in log.read_text() or marker.exists(), "a worker that serves")
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(TIMEOUT_S) == 0
    finally:
        worker.kill()
        worker.wait()
    imported = marker.read_text() if marker.exists() else ""
    assert imported == "", log.read_text()
