"""Signals and children: who is deaf stays deaf, and nothing is left running."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest

from aftercall.embedded import embedded_worker
from aftercall.processes import handling_signals
from aftercall.settings import Settings
from tests.fixtures.workers import wait_until


@pytest.fixture
def hang_up() -> Iterator[None]:
    """What the process does on a hang-up is a test's own."""
    before = signal.getsignal(signal.SIGHUP)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("hang_up")
def test_nohup_keeps_its_word() -> None:
    heard: list[int] = []
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with handling_signals(lambda number, frame: heard.append(number), signal.SIGHUP, signal.SIGTERM):
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGTERM)
    assert heard == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


@pytest.mark.usefixtures("hang_up")
def test_a_closed_terminal_is_heard_otherwise() -> None:
    def hear(number: int, frame: FrameType | None) -> None:
        pass

    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    with handling_signals(hear, signal.SIGHUP):
        assert signal.getsignal(signal.SIGHUP) is hear
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL


#: Finishes what it holds however long that takes, and hears Ctrl-C twice: as `aftercall worker` does.
PATIENT_WORKER = """#!{python}
import signal, sys, time
from pathlib import Path

interrupts = []

def hurry(number, frame):
    interrupts.append(number)
    if len(interrupts) == 2:
        Path("hurried").touch()
        sys.exit()

signal.signal(signal.SIGTERM, lambda number, frame: Path("told").touch())
signal.signal(signal.SIGINT, hurry)
Path("ready").touch()
while True:
    time.sleep(0.1)
"""


def test_a_second_ctrl_c_ends_the_worker_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    def press_again() -> None:
        wait_until(Path("told").exists, "the worker told to stop")
        os.kill(os.getpid(), signal.SIGUSR1)

    monkeypatch.chdir(tmp_path)
    script = tmp_path / "python"
    script.write_text(PATIENT_WORKER.format(python=sys.executable))
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    pressing = threading.Thread(target=press_again)
    with (
        pytest.raises(KeyboardInterrupt),
        handling_signals(interrupt, signal.SIGUSR1),
        embedded_worker(Settings(drain_timeout_s=3600.0), tmp_path / "worker.log") as worker,
    ):
        wait_until(Path("ready").exists, "a worker")
        pressing.start()
    pressing.join()
    assert worker.poll() is not None
    assert Path("hurried").exists()
