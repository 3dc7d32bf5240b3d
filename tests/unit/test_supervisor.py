"""The supervisor over real, small child processes."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fixtures.workers import TIMEOUT_S, assert_never, wait_until
from worker.gpus import Gpu
from worker.names import claim_name
from worker.supervisor import RestartPolicy, worker_name

#: Runs a supervisor whose children execute `CHILD` and append their lines to the file `LOG`.
SUPERVISOR = """
import sys
from worker.gpus import Gpu
from worker.supervisor import RestartPolicy, Supervisor

child, log, gpus, stop = sys.argv[1:]
devices = [Gpu(number, device) for number, device in enumerate(gpus.split(","))] if gpus else [None]
command = lambda number, name: [sys.executable, "-S", "-c", child, log, name]
sys.exit(Supervisor(devices, command, RestartPolicy(0.05, 0.2, 60), poll_s=0.01, stop_timeout_s=float(stop)).run())
"""

PREAMBLE = """
import os, signal, sys, time
def log(*words):
    with open(sys.argv[1], "a") as file:
        print(*words, file=file)
log("up", os.getpid(), sys.argv[2], os.environ["CUDA_VISIBLE_DEVICES"])
"""
SLEEPS = PREAMBLE + "time.sleep(600)"
DRAINS = (
    PREAMBLE
    + """
def drain(*_):
    time.sleep(0.2)
    log("drained", os.getpid())
    sys.exit()
signal.signal(signal.SIGTERM, drain)
log("ready")
while True:
    time.sleep(0.01)
"""
)
#: The second worker exits with a code of its own, once the first is there to be stopped with it.
EXITS_WHILE_ANOTHER_RUNS = (
    PREAMBLE
    + """
while "aftercall-gpu0" not in open(sys.argv[1]).read():
    time.sleep(0.01)
sys.exit({code}) if sys.argv[2] == "aftercall-gpu1" else time.sleep(600)
"""
)
IGNORES = PREAMBLE + "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nlog('ready')\ntime.sleep(600)"

Start = Callable[..., "Run"]


class Run:
    """A supervisor at work, what it says and what its children have logged."""

    def __init__(self, child: str, folder: Path, gpus: str, stop_timeout_s: float) -> None:
        self._log, self._said = folder / "log", folder / "said"
        with self._said.open("w") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-c", SUPERVISOR, child, str(self._log), gpus, str(stop_timeout_s)],
                stderr=said,
                # Names are claimed in the temporary folder, where other tests run supervisors at the same time.
                env={**os.environ, "TMPDIR": str(folder)},
            )

    @property
    def said(self) -> str:
        return self._said.read_text()

    def lines(self, word: str) -> list[list[str]]:
        text = self._log.read_text() if self._log.exists() else ""
        return [line.split(" ") for line in text.splitlines() if line.startswith(word)]

    def wait_for(self, word: str, count: int = 1) -> list[list[str]]:
        wait_until(lambda: len(self.lines(word)) >= count, f"{count} lines of {word}")
        return self.lines(word)

    def end(self) -> tuple[int, str]:
        return self.process.wait(TIMEOUT_S), self.said


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    runs: list[Run] = []

    def begin(child: str, gpus: str = "", stop_timeout_s: float = TIMEOUT_S) -> Run:
        runs.append(Run(child, tmp_path, gpus, stop_timeout_s))
        return runs[-1]

    yield begin
    for run in runs:
        with run.process:
            run.process.kill()


def is_alive(pid: str) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_each_gpu_gets_one_named_child_that_sees_only_it(start: Start) -> None:
    run = start(SLEEPS, gpus="3,GPU-b")
    seen = {(name, device) for _, _, name, device in run.wait_for("up", 2)}
    assert seen == {("aftercall-gpu0", "3"), ("aftercall-gpu1", "GPU-b")}


def test_without_a_gpu_one_child_sees_none(start: Start) -> None:
    [[_, _, name, device]] = start(SLEEPS).wait_for("up")
    assert (name, device) == ("aftercall-cpu", "")


def test_two_supervisors_of_one_machine_give_their_workers_different_names(start: Start, tmp_path: Path) -> None:
    first = start(SLEEPS)
    first.wait_for("up")
    second = start(SLEEPS)
    names = [line[2] for line in second.wait_for("up", 2)]
    assert sorted(names) == ["aftercall-cpu", "aftercall-cpu-2"]

    # A killed one frees its name.
    first.process.kill()
    first.process.wait()
    third = start(SLEEPS)
    assert third.wait_for("up", 3)[2][2] == "aftercall-cpu"


def test_a_temporary_folder_that_cannot_be_used_gives_names_with_the_process_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A file where the folder would be: no user, not even root, makes a lock in it.
    (tmp_path / f"aftercall-{os.getuid()}").touch()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert claim_name("aftercall-cpu").name == f"aftercall-cpu-{os.getpid()}"


def test_a_killed_child_is_started_again_and_the_line_says_why(start: Start) -> None:
    run = start(SLEEPS)
    [[_, pid, *_]] = run.wait_for("up")
    os.kill(int(pid), signal.SIGKILL)
    run.wait_for("up", 2)
    run.process.send_signal(signal.SIGTERM)
    code, stderr = run.end()
    assert code == 0
    assert "aftercall-cpu was killed by SIGKILL; starting it again in 0.05 s." in stderr


@pytest.mark.parametrize("code", [0, 1, 6, 7, 75])
def test_a_child_that_a_restart_may_help_is_restarted_after_growing_delays(start: Start, code: int) -> None:
    run = start(PREAMBLE + f"sys.exit({code})")
    run.wait_for("up", 4)
    run.process.send_signal(signal.SIGTERM)
    _, stderr = run.end()
    assert f"ended with exit code {code}; starting it again in 0.1 s." in stderr
    assert "again in 0.2 s." in stderr


@pytest.mark.parametrize("code", [5, 8, 9, 12])
def test_wrong_settings_schema_adapter_or_model_end_all_with_their_own_code(start: Start, code: int) -> None:
    run = start(EXITS_WHILE_ANOTHER_RUNS.format(code=code), gpus="0,1")
    ended, stderr = run.end()
    assert ended == code
    assert len(run.lines("up")) == 2
    assert "a restart would not help" in stderr
    for _, pid, *_ in run.lines("up"):
        assert not is_alive(pid)


def test_an_unexpected_error_is_not_repeated_without_end(start: Start) -> None:
    run = start(PREAMBLE + "sys.exit(1)")
    code, stderr = run.end()
    assert code == 1
    assert len(run.lines("up")) == 5
    assert "a restart would not help" in stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_children_drain_before_the_supervisor_ends(start: Start, number: signal.Signals, code: int) -> None:
    run = start(DRAINS, gpus="0,1")
    run.wait_for("ready", 2)
    run.process.send_signal(number)
    assert run.end()[0] == code
    assert len(run.lines("drained")) == 2


def test_a_child_that_does_not_stop_in_time_is_killed(start: Start) -> None:
    run = start(IGNORES, stop_timeout_s=0.2)
    [[_, pid, *_]] = run.wait_for("up")
    run.wait_for("ready")
    run.process.send_signal(signal.SIGTERM)
    code, said = run.end()
    assert code == 0
    assert "aftercall-cpu did not stop within 0.2 s and will be killed." in said
    wait_until(lambda: not is_alive(pid), "the child killed")


def test_a_second_interrupt_kills(start: Start) -> None:
    run = start(IGNORES)
    run.wait_for("ready")
    run.process.send_signal(signal.SIGINT)
    # Two that come before the first is heard are one.
    wait_until(lambda: "Ctrl-C again stops at once" in run.said, "the first one heard")
    assert_never(lambda: run.process.poll() is not None, "the first one kills", 0.2)
    run.process.send_signal(signal.SIGINT)
    assert run.end()[0] == 130


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_children_die_with_a_killed_supervisor(start: Start) -> None:
    run = start(IGNORES)
    [[_, pid, *_]] = run.wait_for("up")
    run.wait_for("ready")
    run.process.kill()
    wait_until(lambda: not is_alive(pid), "the child dead with its supervisor")


def test_the_delay_doubles_to_its_limit() -> None:
    policy = RestartPolicy()
    assert [policy.delay_s(count) for count in (1, 2, 3, 4, 5, 6, 10_000)] == [1, 2, 4, 8, 16, 30, 30]


def test_worker_names() -> None:
    assert [worker_name(Gpu(1, "7")), worker_name(None)] == ["aftercall-gpu1", "aftercall-cpu"]
