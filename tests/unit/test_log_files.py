"""Log files that are renamed while processes write to them."""

import subprocess
import sys
import time
from pathlib import Path

from aftercall.logs import rotate

WRITER = """
import logging, os, sys, time
from aftercall.logs import start_logging
from aftercall.settings import Settings
start_logging(Settings(log_file=sys.argv[1]), sys.argv[2])
for number in range(300):
    logging.getLogger("worker").info("line %d", number)
    if number % 100 == 99:
        os.write(2, f"crash {sys.argv[2]} {number}\\n".encode())
    time.sleep(0.003)
"""


def test_processes_that_share_a_log_lose_no_line_when_it_is_rotated(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(log), name]) for name in ("one", "two")]
    num_rotations = 0
    while any(writer.poll() is None for writer in writers):
        num_rotations += rotate(log, 8_000, num_kept=50)
        time.sleep(0.005)
    assert [writer.returncode for writer in writers] == [0, 0]

    files = sorted(tmp_path.iterdir())
    assert num_rotations >= 2
    assert len(files) == num_rotations + log.exists()
    text = "".join(file.read_text() for file in files)
    for name in ("one", "two"):
        assert sum(f" {name} INFO line " in line for line in text.splitlines()) == 300
        assert text.count(f"crash {name}") == 3
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


def test_only_so_many_older_logs_are_kept(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    for number in range(5):
        log.write_text(f"{number}" * 20)
        assert rotate(log, 20, num_kept=2)
    assert {file.name: file.read_text()[0] for file in tmp_path.iterdir()} == {"worker.log.1": "4", "worker.log.2": "3"}
    log.write_text("short")
    assert not rotate(log, 20, num_kept=2)
