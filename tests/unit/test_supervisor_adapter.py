"""The supervisor and an adapter that cannot be loaded: at first it ends all, later it is waited for."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aftercall.errors import AdapterError
from tests.fixtures.workers import TIMEOUT_S, wait_until

ADAPTER = AdapterError.exit_code

NEVER_HEALTHY = 600.0
HEALTHY_AT_ONCE = 0.0

#: Runs a supervisor of workers that append their names to the file `LOG`. The first one ends with the codes given, the
#: last one again and again; any other one goes on.
SUPERVISOR = """
import sys
from worker.gpus import Gpu
from worker.supervisor import RestartPolicy, Supervisor

child, log, num_workers, healthy_after_s, *codes = sys.argv[1:]
command = lambda number, name: [sys.executable, "-S", "-c", child, log, name, *codes]
policy = RestartPolicy(0.05, 0.2, float(healthy_after_s))
gpus = [Gpu(number, str(number)) for number in range(int(num_workers))]
sys.exit(Supervisor(gpus, command, policy, poll_s=0.01).run())
"""

CHILD = """
import sys, time
log, name, *codes = sys.argv[1:]
with open(log, "a") as file:
    print(name, file=file)
if name.endswith("gpu1"):
    time.sleep(600)
num_lives = open(log).read().count("gpu0")
sys.exit(int(codes[min(num_lives, len(codes)) - 1]))
"""

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def start(log: Path) -> Iterator[Start]:
    started = []

    def begin(num_workers: int, healthy_after_s: float, *codes: int) -> "subprocess.Popen[bytes]":
        arguments = map(str, (log, num_workers, healthy_after_s, *codes))
        environment = {**os.environ, "TMPDIR": str(log.parent)}
        started.append(subprocess.Popen([sys.executable, "-c", SUPERVISOR, CHILD, *arguments], env=environment))
        return started[-1]

    yield begin
    for process in started:
        with process:
            process.kill()


def num_lives(log: Path, name: str) -> int:
    return log.read_text().count(name) if log.exists() else 0


def test_a_wrong_adapter_at_the_start_ends_all(start: Start) -> None:
    assert start(2, NEVER_HEALTHY, ADAPTER).wait(TIMEOUT_S) == ADAPTER


def test_a_wrong_adapter_found_after_a_slow_download_ends_all(start: Start) -> None:
    assert start(1, HEALTHY_AT_ONCE, ADAPTER).wait(TIMEOUT_S) == ADAPTER


def test_next_to_a_healthy_worker_a_missing_adapter_is_waited_for(start: Start, log: Path) -> None:
    supervisor = start(2, HEALTHY_AT_ONCE, ADAPTER)
    wait_until(lambda: num_lives(log, "gpu0") >= 7 and num_lives(log, "gpu1"), "one started again and again")

    assert supervisor.poll() is None
    assert num_lives(log, "gpu1") == 1


def test_after_a_healthy_run_a_missing_adapter_is_waited_for(start: Start, log: Path) -> None:
    supervisor = start(1, HEALTHY_AT_ONCE, 75, ADAPTER)
    wait_until(lambda: num_lives(log, "gpu0") >= 7, "started again and again")
    assert supervisor.poll() is None


@pytest.mark.parametrize("code", [5, 9, 12])
def test_settings_model_and_schema_end_all_also_when_workers_were_healthy(start: Start, code: int) -> None:
    assert start(2, HEALTHY_AT_ONCE, 75, ADAPTER, code).wait(TIMEOUT_S) == code
