"""A worker that is asked to stop: what runs may finish, for a while; the rest goes back untried."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from aftercall.database import reading
from aftercall.ledger import account
from aftercall.models import Job, JobState
from aftercall.settings import Settings
from tests.fixtures.workers import (
    TIMEOUT_S,
    WorkerStarter,
    submit_file,
    wait_until,
    wait_until_finished,
    write_source,
)

IDS = [f"C-{number:03d}" for number in range(48)]


@pytest.mark.parametrize("stop_signal", [signal.SIGTERM, signal.SIGINT])
def test_what_runs_is_finished_and_nothing_more_is_begun(
    stop_signal: signal.Signals,
    tmp_path: Path,
    settings: Settings,
    database: Engine,
    start_worker: WorkerStarter,
) -> None:
    settings = settings.model_copy(update={"drain_timeout_s": TIMEOUT_S})
    report = submit_file(write_source(tmp_path / "night.csv", IDS), database, settings)
    worker = start_worker("--threads", "1", settings=settings, is_held=True)
    wait_until(lambda: worker.num_calls.total() == 16, "a chunk in the engine")
    worker.process.send_signal(stop_signal)
    wait_until(lambda: "Warm shutdown" in worker.log.read_text(), "the worker stops")
    worker.hold.unlink()

    assert worker.wait() == 0
    standing = account.account(database, report.submission_id)
    assert (standing.done, standing.waiting) == (16, 32)
    start_worker()
    assert wait_until_finished(database, report.submission_id).done == len(IDS)


def test_what_takes_too_long_goes_back_untried(
    tmp_path: Path, settings: Settings, database: Engine, start_worker: WorkerStarter
) -> None:
    settings = settings.model_copy(update={"drain_timeout_s": 0.3})
    report = submit_file(write_source(tmp_path / "night.csv", IDS), database, settings)
    worker = start_worker("--threads", "2", settings=settings, is_held=True)
    wait_until(lambda: worker.num_calls.total() == 32, "two chunks in the engine")
    worker.terminate()

    assert worker.wait() == 0
    assert account.account(database, report.submission_id).waiting == len(IDS)
    with reading(database) as connection:
        assert set(connection.execute(select(Job.state, Job.attempts)).all()) == {(JobState.QUEUED, 0)}


def test_an_engine_that_does_not_stop_holds_the_worker_up_for_seconds_only(
    tmp_path: Path, settings: Settings, database: Engine, start_worker: WorkerStarter
) -> None:
    """A step on a busy CPU takes minutes and cannot be interrupted: its conversations go back untried."""
    settings = settings.model_copy(update={"drain_timeout_s": 0.3})
    report = submit_file(write_source(tmp_path / "night.csv", ["HANG-1", "HANG-2"]), database, settings)
    worker = start_worker(settings=settings)
    wait_until(lambda: worker.num_calls.total() == 2, "the engine hangs")
    stopped_at = time.monotonic()
    worker.terminate()

    assert worker.wait() == 0
    assert time.monotonic() - stopped_at < 30
    assert account.account(database, report.submission_id).waiting == 2
    with reading(database) as connection:
        assert set(connection.execute(select(Job.state, Job.attempts)).all()) == {(JobState.QUEUED, 0)}


#: A worker that is told to stop while its model loads, and a thread is inside torch.
BUSY_WORKER = """
import os, signal, threading, time
import torch
from worker.process import serve

def compute():
    weights = torch.randn(300, 300, requires_grad=True)
    while True:
        (weights @ weights).sum().backward()

def load(settings, database):
    threading.Thread(target=compute, daemon=True).start()
    time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)

serve("busy", load, 1)
"""


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_thread_inside_torch_does_not_abort_a_worker_that_stops(settings: Settings, database: Engine) -> None:
    environment = {**os.environ, **settings.to_environment()}
    command = [sys.executable, "-c", BUSY_WORKER]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    assert (ended.returncode, "terminate called" in ended.stderr) == (0, False), ended.stderr
