"""The sweep: what it sends, when, and what it finds again. Against a real Valkey, on both databases."""

import base64
import json
from pathlib import Path

import pytest
from sqlalchemy import Engine, update

from aftercall.broker import Broker
from aftercall.errors import BrokerError
from aftercall.ledger import delivery, work
from aftercall.message import Chunk
from aftercall.models import Job
from aftercall.settings import Settings
from aftercall.sweep import Sweeper
from tests.fixtures.workers import conversation_text, submit_file, write_source

IDS = [f"C-{number:03d}" for number in range(40)]
LEASE = work.Lease("worker", 60.0)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Chunks of ten, and messages that count as lost only when `let_time_pass` has made them old enough."""
    return settings.model_copy(update={"chunk_size": 10, "lost_after_s": 3_600.0})


@pytest.fixture
def sweeper(settings: Settings, database: Engine, broker: Broker) -> Sweeper:
    """The sweeper of this test's ledger and queue."""
    return Sweeper(database, broker, settings)


def empty_queue(broker: Broker, settings: Settings) -> None:
    """As Redis does when it loses its data; other tests' queues stay."""
    broker._redis.delete(settings.queue)


def let_time_pass(database: Engine, settings: Settings) -> None:
    """As if every message had been sent so long ago that it counts as lost unless it waits."""
    with database.begin() as connection:
        connection.execute(update(Job).values(sent_at=Job.sent_at - 2 * settings.lost_after_s))


def test_what_is_committed_without_redis_is_sent_by_the_next_sweep(
    tmp_path: Path, settings: Settings, database: Engine, broker: Broker, sweeper: Sweeper
) -> None:
    without_redis = settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    report = submit_file(write_source(tmp_path / "night.csv", IDS), database, without_redis)
    assert isinstance(report.broker_error, BrokerError)
    assert (report.num_added, broker.depth()) == (40, 0)

    assert sweeper.sweep().num_sent == 40
    assert broker.depth() == 4
    assert sweeper.sweep().num_sent == 0


def test_a_message_that_vanished_is_sent_again_when_it_had_its_time(
    tmp_path: Path, settings: Settings, database: Engine, broker: Broker, sweeper: Sweeper
) -> None:
    submit_file(write_source(tmp_path / "night.csv", IDS), database, settings)
    empty_queue(broker, settings)
    assert sweeper.sweep().num_lost == 0

    let_time_pass(database, settings)
    assert sweeper.sweep().num_lost == 40
    assert broker.waiting_job_ids() == set(range(1, 41))


def test_a_message_that_waits_is_not_sent_again_however_old(
    tmp_path: Path, settings: Settings, database: Engine, broker: Broker, sweeper: Sweeper
) -> None:
    submit_file(write_source(tmp_path / "night.csv", IDS), database, settings)
    let_time_pass(database, settings)

    assert [sweeper.sweep().num_sent for _ in range(3)] == [0, 0, 0]
    assert broker.depth() == 4


def test_one_lost_message_of_many_is_found_beside_those_that_wait(
    tmp_path: Path, settings: Settings, database: Engine, broker: Broker, sweeper: Sweeper
) -> None:
    submit_file(write_source(tmp_path / "night.csv", IDS), database, settings)
    broker._redis.rpop(settings.queue)

    let_time_pass(database, settings)
    assert sweeper.sweep().num_lost == 10
    assert broker.depth() == 4
    assert broker.waiting_job_ids() == set(range(1, 41))


def test_what_failed_travels_alone_and_only_after_its_wait(
    tmp_path: Path, settings: Settings, database: Engine, broker: Broker, sweeper: Sweeper
) -> None:
    submit_file(write_source(tmp_path / "night.csv", IDS[:10]), database, settings)
    empty_queue(broker, settings)
    work.claim(database, range(1, 11), LEASE, 3)
    for job_id in (1, 2):
        work.fail(database, work.JobFailure(job_id, "code", "reason"), LEASE.owner, 3, retry_delay_s=0.0)
    work.fail(database, work.JobFailure(3, "code", "reason"), LEASE.owner, 3, retry_delay_s=60.0)

    assert sweeper.sweep().num_sent == 2
    assert broker.depth() == 2


def test_an_expired_lease_is_sent_again(
    tmp_path: Path, settings: Settings, database: Engine, broker: Broker, sweeper: Sweeper
) -> None:
    submit_file(write_source(tmp_path / "night.csv", IDS[:10]), database, settings)
    empty_queue(broker, settings)
    work.claim(database, range(1, 11), work.Lease("dead", 0.0), 3)

    swept = sweeper.sweep()
    assert (swept.num_expired, swept.num_sent) == (10, 10)


def test_a_message_never_exceeds_its_size_unless_one_conversation_does(
    tmp_path: Path, settings: Settings, database: Engine, broker: Broker
) -> None:
    def text(external_id: str) -> str:
        return conversation_text(external_id) + "Agent: " + "word " * (4_000 if external_id == "C-005" else 600)

    settings = settings.model_copy(update={"max_message_bytes": 10_000, "chunk_size": 100})
    submit_file(write_source(tmp_path / "night.csv", IDS[:10], text), database, settings)

    messages = [
        json.loads(base64.b64decode(json.loads(raw)["body"])) for raw in broker._redis.lrange(settings.queue, 0, -1)
    ]
    chunks = [Chunk.from_message(args[0]) for args, *_ in messages]
    sizes = sorted((len(chunk.jobs), sum(len(job.text) for job in chunk.jobs)) for chunk in chunks)
    assert [num_jobs for num_jobs, size in sizes if size > 10_000] == [1]
    assert sum(num_jobs for num_jobs, _ in sizes) == 10
    assert max(num_jobs for num_jobs, _ in sizes) == 3


def test_while_another_process_sweeps_nothing_is_sent(
    tmp_path: Path, settings: Settings, database: Engine, broker: Broker, sweeper: Sweeper
) -> None:
    with broker.lock("sweep", 3_600.0) as is_held:
        assert is_held
        submit_file(write_source(tmp_path / "night.csv", IDS), database, settings)
        assert sweeper.sweep().num_sent == 0
    assert sweeper.sweep().num_sent == 40


def test_a_redis_that_takes_nothing_leaves_the_jobs_unsent(
    tmp_path: Path, settings: Settings, database: Engine, sweeper: Sweeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit_file(
        write_source(tmp_path / "night.csv", IDS),
        database,
        settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"}),
    )
    monkeypatch.setattr(Broker, "send", refuse)
    with pytest.raises(BrokerError):
        sweeper.sweep()

    assert len(delivery.unsent(database, 100)) == 40


def test_jobs_are_noted_as_sent_before_a_worker_can_see_them(
    tmp_path: Path, settings: Settings, database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On PostgreSQL a claim passes over rows that are being changed: noted afterwards, a quick worker's claim found
    # nothing, and its jobs waited until they counted as lost.
    noted = []
    send = Broker.send

    def look_and_send(broker: Broker, chunks: list[Chunk]) -> None:
        noted.append(delivery.num_sent(database).total())
        send(broker, chunks)

    monkeypatch.setattr(Broker, "send", look_and_send)
    submit_file(write_source(tmp_path / "night.csv", IDS), database, settings)
    assert noted == [40]


def refuse(broker: Broker, chunks: object) -> None:
    """As `Broker.send` on a full Redis."""
    raise BrokerError("full")
