"""What befalls the queue while it is in use: it is full, cut in the middle of a message, littered by somebody else."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Engine

from aftercall.broker import Broker
from aftercall.errors import BrokerError
from aftercall.message import Chunk, ChunkJob, queue_name
from aftercall.settings import Settings
from tests.fixtures.breakable import BreakableRedis
from tests.fixtures.workers import (
    WorkerStarter,
    expected_summaries,
    submit_file,
    summaries_by_id,
    wait_until,
    wait_until_finished,
    write_source,
)

IDS = [f"C-{number:03d}" for number in range(96)]

#: What another program may push into the list that is the queue.
LITTER = [b"\xff\xfe no JSON", b"[]"]


@pytest.fixture
def settings(settings: Settings, own_redis: BreakableRedis) -> Settings:
    """On a Redis of the test's own."""
    return settings.model_copy(update={"redis_url": own_redis.url})


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_worker_that_finds_redis_full_goes_on_when_there_is_room(
    tmp_path: Path, settings: Settings, own_redis: BreakableRedis, database: Engine, start_worker: WorkerStarter
) -> None:
    report = submit_file(write_source(tmp_path / "night.csv", IDS), database, settings)
    worker = start_worker("--threads", "2", is_held=True)
    wait_until(lambda: worker.num_calls.total() == 32, "two chunks in the engine")
    own_redis.client.config_set("maxmemory", 1)
    worker.hold.unlink()
    wait_until(lambda: "OutOfMemoryError" in worker.log.read_text(), "a message that Redis does not let it note")
    own_redis.client.config_set("maxmemory", 0)

    assert wait_until_finished(database, report.submission_id).done == len(IDS)
    assert summaries_by_id(database, report.submission_id) == expected_summaries(IDS)
    assert worker.process.poll() is None


@dataclass(frozen=True)
class CuttingChunk(Chunk):
    """Ends the server when it is to be sent."""

    redis: BreakableRedis

    def to_message(self) -> dict[str, object]:
        self.redis.kill()
        return super().to_message()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_messages_cut_off_in_the_middle_are_a_refusal_of_redis(broker: Broker, own_redis: BreakableRedis) -> None:
    chunk = Chunk((ChunkJob(1, "user: hello\n"),))
    broker.send([chunk])
    with pytest.raises(BrokerError, match="the next worker that reaches Redis sends it"):
        broker.send([chunk, CuttingChunk(chunk.jobs, own_redis), chunk])


@pytest.mark.parametrize("litter", LITTER)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_litter_in_the_queue_is_set_aside_and_the_worker_goes_on(
    litter: bytes,
    tmp_path: Path,
    settings: Settings,
    own_redis: BreakableRedis,
    database: Engine,
    broker: Broker,
    start_worker: WorkerStarter,
) -> None:
    report = submit_file(write_source(tmp_path / "night.csv", IDS), database, settings)
    own_redis.client.rpush(queue_name(settings.queue), litter)
    worker = start_worker()

    assert wait_until_finished(database, report.submission_id).done == len(IDS)
    assert summaries_by_id(database, report.submission_id) == expected_summaries(IDS)
    assert broker.dead_letters()[0] == 1
    assert worker.process.poll() is None


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_search_for_lost_messages_passes_over_litter(
    settings: Settings, own_redis: BreakableRedis, broker: Broker
) -> None:
    broker.send([Chunk((ChunkJob(7, "user: hello\n"),))])
    own_redis.client.rpush(queue_name(settings.queue), *LITTER, b"{}", b"null")

    assert broker.waiting_job_ids() == {7}
