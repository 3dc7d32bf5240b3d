"""The queue: which jobs wait in it, how much of it there may be, and locks that end. Against a real Valkey."""

import base64
import json
from pathlib import Path

import pytest
from sqlalchemy import Engine

from aftercall.broker import Broker
from aftercall.errors import BrokerError
from aftercall.ledger import account
from aftercall.message import MAX_CHUNK_JOBS, MAX_JOB_ID, Chunk, ChunkJob
from aftercall.settings import Settings
from aftercall.sweep import Sweeper
from aftercall.waiting import SLICE
from tests.fixtures.bad_messages import BAD_MESSAGES, encode, good_message
from tests.fixtures.workers import WorkerStarter, submit_file, wait_until_finished, write_source

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def older_message(settings: Settings, chunk: Chunk) -> bytes:
    """A message as versions without the header of job ids sent it."""
    message = good_message(settings.queue)
    del message["headers"]["aftercall_jobs"]
    message["body"] = base64.b64encode(json.dumps([[chunk.to_message()], {}, {}]).encode()).decode()
    return encode(message)


def chunk_of(*job_ids: int, text: str = "user: hello\n") -> Chunk:
    return Chunk(tuple(ChunkJob(job_id, text) for job_id in job_ids))


def num_sent_bytes(broker: Broker) -> int:
    """What the server has sent to its clients so far."""
    return int(broker._redis.info("stats")["total_net_output_bytes"])


def test_waiting_jobs_are_read_from_headers_without_the_conversations(broker: Broker, settings: Settings) -> None:
    chunks = [chunk_of(*range(first, first + 32), text="x" * 10_000) for first in range(1, 32 * 70, 32)]
    broker.send(chunks)
    before = num_sent_bytes(broker)
    assert broker.waiting_job_ids() == {job.job_id for chunk in chunks for job in chunk.jobs}
    assert broker.num_bytes() > 20_000_000
    assert num_sent_bytes(broker) - before < 200_000


@pytest.mark.parametrize("num_messages", [0, 1, SLICE - 1, SLICE, SLICE + 1, 2 * SLICE])
def test_every_slice_is_read(num_messages: int, broker: Broker) -> None:
    broker.send([chunk_of(number) for number in range(1, num_messages + 1)])
    assert broker.waiting_job_ids() == set(range(1, num_messages + 1))


def test_the_largest_ids_and_the_largest_chunk_are_read(broker: Broker) -> None:
    job_ids = range(MAX_JOB_ID - MAX_CHUNK_JOBS + 1, MAX_JOB_ID + 1)
    broker.send([chunk_of(*job_ids)])
    assert broker.waiting_job_ids() == set(job_ids)


def test_messages_of_an_older_version_are_read_too(broker: Broker, settings: Settings) -> None:
    broker.send([chunk_of(1, 2)])
    broker._redis.lpush(settings.queue, older_message(settings, chunk_of(3, 4)))
    assert broker.waiting_job_ids() == {1, 2, 3, 4}


def test_a_worker_does_what_an_older_version_sent(
    tmp_path: Path, settings: Settings, database: Engine, broker: Broker, start_worker: WorkerStarter
) -> None:
    settings = settings.model_copy(update={"lost_after_s": 3600.0})
    report = submit_file(write_source(tmp_path / "night.csv", ["C-1"]), database, settings)
    raw = json.loads(broker._redis.rpop(settings.queue))
    del raw["headers"]["aftercall_jobs"]
    broker._redis.lpush(settings.queue, json.dumps(raw))
    start_worker(settings=settings)
    assert wait_until_finished(database, report.submission_id).done == 1


def test_no_waiting_message_ends_the_search(broker: Broker, settings: Settings) -> None:
    broker.send([chunk_of(1)])
    for change in BAD_MESSAGES.values():
        broker._redis.lpush(settings.queue, encode(change(good_message(settings.queue))))
    broker.send([chunk_of(2)])
    # Of a message with a header only the header is read: that of a bad message may still name its job, number 1.
    assert broker.waiting_job_ids() - {2} == {1}


def test_the_window_counts_bytes(tmp_path: Path, settings: Settings, database: Engine, broker: Broker) -> None:
    settings = settings.model_copy(update={"window_bytes": 1_000_000})
    ids = [f"C-{number}" for number in range(60)]
    source = write_source(
        tmp_path / "night.csv", ids, lambda name: f"Customer: {name} {'long ' * 10_000}\nAgent: yes\n"
    )
    report = submit_file(source, database, settings)
    standing = account.account(database, report.submission_id)
    assert standing.waiting == 60
    num_waiting = len(broker.waiting_job_ids())
    assert 5 <= num_waiting < 30
    assert broker.num_bytes() < 1_200_000

    # What leaves the queue makes room for more.
    sweeper = Sweeper(database, broker, settings)
    assert sweeper.top_up() == 0
    broker._redis.delete(settings.queue)
    assert sweeper.top_up() >= 5


def test_a_conversation_larger_than_the_window_is_sent_alone(
    tmp_path: Path, settings: Settings, database: Engine, broker: Broker
) -> None:
    settings = settings.model_copy(update={"window_bytes": 1_000_000, "max_conversation_chars": 5_000_000})
    source = write_source(tmp_path / "night.csv", ["a", "b"], lambda name: f"Customer: {name} {'long ' * 400_000}\n")
    submit_file(source, database, settings)
    assert len(broker.waiting_job_ids()) == 1


def test_a_lock_without_an_end_gets_one(broker: Broker, settings: Settings) -> None:
    # As after a restore from a dump, or by hand.
    broker._redis.set(f"{settings.queue}:sweep", "someone")
    broker._redis.set(f"{settings.queue}:search", "someone")
    with broker.lock("sweep", 30.0) as is_held:
        assert not is_held
    assert not broker.is_due("search", 30.0)
    assert 0 < broker._redis.pttl(f"{settings.queue}:sweep") <= 30_000
    assert 0 < broker._redis.pttl(f"{settings.queue}:search") <= 30_000


def test_a_lock_that_another_holds_keeps_its_end(broker: Broker, settings: Settings) -> None:
    with broker.lock("sweep", 5.0) as is_held:
        assert is_held
        with broker.lock("sweep", 3_600.0) as is_held_twice:
            assert not is_held_twice
        assert 0 < broker._redis.pttl(f"{settings.queue}:sweep") <= 5_000


@pytest.mark.parametrize("password", ["pa/ss", "pa?ss", "pa#ss", "12#34", "12/34@56", "p@ss", "a@b/c?d#e", "pa:ss"])
def test_no_part_of_a_password_is_shown(password: str, settings: Settings) -> None:
    url = f"redis://ada:{password}@127.0.0.1:1/0"
    with pytest.raises(BrokerError) as raised:
        Broker(settings.model_copy(update={"redis_url": url})).check()
    shown = str(raised.value)
    assert "redis://ada:***@127.0.0.1:1/0" in shown
    for part in (password, password[:2] + " ", password[-2:] + "@"):
        assert part not in shown
