"""Workers with a message key take no message that someone else put into the queue."""

from pathlib import Path

import pytest
import redis
from sqlalchemy import Engine

from aftercall.broker import Broker
from aftercall.envelope import build_envelope
from aftercall.ledger import account
from aftercall.message import Chunk, ChunkJob, queue_name
from aftercall.settings import Settings
from producer.doctor.examine import examine
from tests.fixtures.workers import (
    WorkerStarter,
    cleaned_text,
    expected_summaries,
    submit_file,
    summaries_by_id,
    wait_until,
    wait_until_finished,
    write_source,
)

IDS = [f"C-{number:03d}" for number in range(16)]
KEY = "0123456789abcdef0123456789abcdef"

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_a_worker_with_a_key_sets_unsigned_messages_aside_and_does_signed_ones(
    tmp_path: Path, settings: Settings, database: Engine, broker: Broker, start_worker: WorkerStarter
) -> None:
    signed = settings.model_copy(update={"message_key": KEY})
    queue = queue_name(settings.queue)
    forged = build_envelope(Chunk((ChunkJob(1, cleaned_text("C-000")),)), queue)
    redis.Redis.from_url(settings.redis_url).lpush(queue, forged)
    worker = start_worker(settings=signed)
    wait_until(lambda: broker.dead_letters()[0] == 1, "the forged message set aside")
    assert "not signed with this worker's AFTERCALL_MESSAGE_KEY" in broker.dead_letters()[1]

    report = submit_file(write_source(tmp_path / "night.csv", IDS), database, signed)
    assert wait_until_finished(database, report.submission_id).done == len(IDS)
    assert summaries_by_id(database, report.submission_id) == expected_summaries(IDS)
    assert broker.dead_letters()[0] == 1
    assert worker.process.poll() is None
    assert KEY not in worker.log.read_text()
    assert any("signed" in finding.sentence for finding in examine(signed))


def test_messages_of_a_producer_with_another_key_are_sent_again_by_the_workers_sweep(
    tmp_path: Path, settings: Settings, database: Engine, broker: Broker, start_worker: WorkerStarter
) -> None:
    other = settings.model_copy(update={"message_key": "x" * 32})
    report = submit_file(write_source(tmp_path / "night.csv", IDS), database, other)
    start_worker(settings=settings.model_copy(update={"message_key": KEY}))

    # Nothing is lost: the jobs are in the ledger, and the worker signs what it sends again.
    assert wait_until_finished(database, report.submission_id).done == len(IDS)
    assert account.account(database, report.submission_id).failed == 0
    assert broker.dead_letters()[0] == 1


def test_the_key_is_not_among_what_monitors_can_ask_for(settings: Settings) -> None:
    broker = Broker(settings.model_copy(update={"message_key": KEY}))
    assert KEY not in str(broker._app.conf.humanize(with_defaults=True))
    broker.close()
