"""Workers of two releases side by side, which read messages of different versions."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from aftercall import message
from aftercall.broker import Broker
from aftercall.ledger import account, workers
from aftercall.settings import Settings
from tests.fixtures.workers import (
    WorkerStarter,
    assert_never,
    expected_summaries,
    submit_file,
    summaries_by_id,
    wait_until,
    wait_until_finished,
    write_source,
)

IDS = [f"C-{number:03d}" for number in range(64)]
NEWER = message.MESSAGE_VERSION + 1
AS_NEWER = ("--message-version", str(NEWER))


@pytest.fixture
def newer_producer(monkeypatch: pytest.MonkeyPatch) -> None:
    """What this process submits and sweeps, it does as the newer release."""
    monkeypatch.setattr(message, "MESSAGE_VERSION", NEWER)


@pytest.mark.usefixtures("newer_producer")
def test_a_newer_message_is_left_to_a_newer_worker(
    tmp_path: Path, settings: Settings, database: Engine, start_worker: WorkerStarter
) -> None:
    settings = settings.model_copy(update={"lost_after_s": 3600.0})
    old = start_worker(settings=settings)
    report = submit_file(write_source(tmp_path / "night.csv", IDS), database, settings)
    wait_until(lambda: workers.alive(database), "the old worker at work")
    newer = start_worker(*AS_NEWER, settings=settings)

    assert wait_until_finished(database, report.submission_id).done == len(IDS)
    assert summaries_by_id(database, report.submission_id) == expected_summaries(IDS)
    assert (old.num_calls.total(), newer.num_calls.total()) == (0, len(IDS))
    assert "a message of version" not in old.log.read_text()


@pytest.mark.usefixtures("newer_producer")
def test_where_no_newer_worker_comes_the_old_one_sends_them_again_as_it_reads_them(
    tmp_path: Path, settings: Settings, database: Engine, start_worker: WorkerStarter
) -> None:
    report = submit_file(write_source(tmp_path / "night.csv", IDS), database, settings)
    start_worker()

    assert wait_until_finished(database, report.submission_id).done == len(IDS)
    assert set(start_worker.num_calls.values()) == {1}


def test_old_and_new_side_by_side_send_nothing_without_end_and_do_everything_once(
    tmp_path: Path, settings: Settings, database: Engine, broker: Broker, start_worker: WorkerStarter
) -> None:
    settings = settings.model_copy(update={"lost_after_s": 0.3})
    # Submitted first: of two that send for one version, one that was paused while it held the lock would send twice.
    report = submit_file(write_source(tmp_path / "night.csv", IDS), database, settings)
    both = [start_worker(*options, "--threads", "1", is_held=True, settings=settings) for options in ((), AS_NEWER)]
    wait_until(lambda: account.account(database, report.submission_id).running == 32, "a chunk with each worker")
    queues = (settings.queue, f"{settings.queue}.v{NEWER}")
    # Four chunks, each at most once in either queue; watched for ten searches for lost messages.
    assert_never(
        lambda: sum(broker._redis.llen(queue) for queue in queues) > 8, "more messages than chunks", watched_s=3.0
    )
    for worker in both:
        worker.hold.unlink()

    assert wait_until_finished(database, report.submission_id).done == len(IDS)
    assert summaries_by_id(database, report.submission_id) == expected_summaries(IDS)
    assert set(start_worker.num_calls.values()) == {1}
