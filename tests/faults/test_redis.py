"""Redis stopped, emptied, full: the ledger has it all, and workers go on without being started again."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Engine

from aftercall.errors import BrokerError
from aftercall.ledger import account
from aftercall.settings import Settings
from tests.fixtures.breakable import BreakableRedis
from tests.fixtures.workers import (
    ScriptedWorker,
    WorkerStarter,
    assert_never,
    expected_summaries,
    submit_file,
    summaries_by_id,
    wait_until,
    wait_until_finished,
    write_source,
)

IDS = [f"C-{number:03d}" for number in range(96)]


@pytest.fixture
def settings(settings: Settings, own_redis: BreakableRedis) -> Settings:
    """On a Redis of the test's own."""
    return settings.model_copy(update={"redis_url": own_redis.url})


def start_half_way(
    start_worker: WorkerStarter, settings: Settings, database: Engine, folder: Path
) -> tuple[ScriptedWorker, int]:
    """A worker with two chunks in its engine and four in the queue."""
    report = submit_file(write_source(folder / "night.csv", IDS), database, settings)
    worker = start_worker("--threads", "2", is_held=True)
    wait_until(lambda: worker.num_calls.total() == 32, "two chunks in the engine")
    return worker, report.submission_id


def assert_finished_once_by(worker: ScriptedWorker, database: Engine, submission_id: int) -> None:
    assert wait_until_finished(database, submission_id).done == len(IDS)
    assert summaries_by_id(database, submission_id) == expected_summaries(IDS)
    assert set(worker.num_calls.values()) == {1}
    assert worker.process.poll() is None


@pytest.mark.parametrize("is_data_kept", [True, False])
def test_a_worker_goes_on_after_redis_was_started_again(
    is_data_kept: bool,
    tmp_path: Path,
    settings: Settings,
    own_redis: BreakableRedis,
    database: Engine,
    start_worker: WorkerStarter,
) -> None:
    worker, submission_id = start_half_way(start_worker, settings, database, tmp_path)
    own_redis.stop()
    worker.hold.unlink()
    wait_until(lambda: account.account(database, submission_id).done == 32, "the running chunks written")
    if not is_data_kept:
        own_redis.lose_data()
    own_redis.start()

    assert_finished_once_by(worker, database, submission_id)


def test_what_a_flush_took_is_sent_again(
    tmp_path: Path, settings: Settings, own_redis: BreakableRedis, database: Engine, start_worker: WorkerStarter
) -> None:
    worker, submission_id = start_half_way(start_worker, settings, database, tmp_path)
    own_redis.client.flushall()
    worker.hold.unlink()

    assert_finished_once_by(worker, database, submission_id)


def test_a_lost_message_is_sent_again_once_and_not_at_every_sweep(
    tmp_path: Path, settings: Settings, own_redis: BreakableRedis, database: Engine, start_worker: WorkerStarter
) -> None:
    settings = settings.model_copy(update={"lost_after_s": 0.2, "sweep_interval_s": 0.05})
    report = submit_file(write_source(tmp_path / "night.csv", IDS), database, settings)
    own_redis.client.flushall()
    # The one thread is held by a chunk of its own, so that whatever is sent stays in the queue to be counted.
    worker = start_worker("--threads", "1", settings=settings, is_held=True)
    wait_until(lambda: worker.num_calls.total() == 16, "a chunk in the engine")
    # Five chunks, and the one in the engine once more: between its delivery and its claim it may have looked lost.
    assert_never(lambda: own_redis.client.llen(settings.queue) > 6, "more messages than chunks", 1.5)
    worker.hold.unlink()

    assert_finished_once_by(worker, database, report.submission_id)


def test_a_full_redis_takes_nothing_and_loses_nothing(
    tmp_path: Path, settings: Settings, own_redis: BreakableRedis, database: Engine, start_worker: WorkerStarter
) -> None:
    source = write_source(tmp_path / "night.csv", IDS)
    own_redis.client.config_set("maxmemory", 1)
    command = [sys.executable, "-m", "aftercall", "submit", str(source)]
    submitted = subprocess.run(
        command, env={**os.environ, **settings.to_environment()}, capture_output=True, text=True, check=False
    )
    assert submitted.returncode == BrokerError.exit_code, submitted.stderr
    assert "submission 1 is committed" in submitted.stderr
    assert "'maxmemory'" in submitted.stderr
    assert "Traceback" not in submitted.stderr
    assert account.account(database, 1).waiting == len(IDS)

    own_redis.client.config_set("maxmemory", 0)
    assert_finished_once_by(start_worker(), database, 1)


def test_a_redis_that_would_evict_the_queue_is_refused(
    settings: Settings, own_redis: BreakableRedis, start_worker: WorkerStarter
) -> None:
    own_redis.client.config_set("maxmemory-policy", "allkeys-lru")
    worker = start_worker()

    assert worker.wait() == BrokerError.exit_code
    assert "Set it to noeviction" in worker.log.read_text()
    assert "Traceback" not in worker.log.read_text()
