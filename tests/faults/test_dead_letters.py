"""A message that can't be read is set aside once, with a line in the log, and the worker goes on."""

import json
from pathlib import Path

import psutil
import pytest
import redis
from sqlalchemy import Engine, select

from aftercall import dead_letters
from aftercall.broker import Broker
from aftercall.cli import main
from aftercall.database import reading
from aftercall.dead_letters import MAX_KEPT, list_key
from aftercall.envelope import build_envelope, read_envelope
from aftercall.ledger import delivery
from aftercall.message import Chunk, ChunkJob, MessageError, queue_name
from aftercall.models import Job
from aftercall.settings import Settings
from producer.doctor.examine import examine
from producer.doctor.finding import Level
from tests.fixtures.bad_messages import BAD_MESSAGES, ODD_HEADERS, encode, good_message
from tests.fixtures.workers import (
    WorkerStarter,
    expected_summaries,
    submit_file,
    summaries_by_id,
    wait_until,
    wait_until_finished,
    write_source,
)

IDS = [f"C-{number:03d}" for number in range(16)]

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def client(settings: Settings) -> redis.Redis:
    """The Redis of the test."""
    return redis.Redis.from_url(settings.redis_url)


@pytest.mark.parametrize("kind", BAD_MESSAGES)
def test_a_bad_message_is_refused_without_quoting_it(kind: str, settings: Settings) -> None:
    raw = encode(BAD_MESSAGES[kind](good_message(settings.queue)))
    with pytest.raises(MessageError) as refused:
        read_envelope(raw)
    reason = str(refused.value)
    assert reason.startswith("a message")
    assert reason.isprintable()
    assert len(reason) < 200
    assert "hello" not in reason


def test_one_worker_outlives_every_bad_message(
    tmp_path: Path,
    settings: Settings,
    database: Engine,
    broker: Broker,
    client: redis.Redis,
    start_worker: WorkerStarter,
) -> None:
    queue = queue_name(settings.queue)
    for change in BAD_MESSAGES.values():
        client.lpush(queue, encode(change(good_message(queue))))
    report = submit_file(write_source(tmp_path / "night.csv", IDS), database, settings)
    worker = start_worker()

    assert wait_until_finished(database, report.submission_id).done == len(IDS)
    assert summaries_by_id(database, report.submission_id) == expected_summaries(IDS)
    assert broker.dead_letters()[0] == len(BAD_MESSAGES)
    assert worker.process.poll() is None
    # The bomb was not decompressed.
    assert psutil.Process(worker.process.pid).memory_info().rss < 400e6
    log = worker.log.read_text()
    assert log.count("set aside a message") == len(BAD_MESSAGES)
    assert "Traceback" not in log
    assert "\x1b" not in log

    # It stays set aside: another worker does not meet it.
    worker.terminate()
    assert worker.wait() == 0
    second = start_worker()
    report = submit_file(write_source(tmp_path / "second.csv", ["D-1"]), database, settings)
    assert wait_until_finished(database, report.submission_id).done == 1
    assert "set aside" not in second.log.read_text()


def test_odd_headers_do_not_reach_celery(
    tmp_path: Path,
    settings: Settings,
    database: Engine,
    broker: Broker,
    client: redis.Redis,
    start_worker: WorkerStarter,
) -> None:
    # A window of one, and a search for lost messages that comes too late: what else is done, these messages did.
    settings = settings.model_copy(update={"window": 1, "lost_after_s": 3600.0})
    ids = IDS[: len(ODD_HEADERS)]
    report = submit_file(write_source(tmp_path / "night.csv", ids), database, settings)
    queue = queue_name(settings.queue)
    client.delete(queue)
    jobs = [ChunkJob(number, text) for number, text in texts(database).items()]
    delivery.mark_sent(database, [job.job_id for job in jobs])
    for job, change in zip(jobs, ODD_HEADERS.values(), strict=True):
        message = good_message(queue)
        message["body"] = body_of(job)
        message["headers"]["aftercall_jobs"] = str(job.job_id)
        client.lpush(queue, encode(change(message)))
    worker = start_worker(settings=settings)

    assert wait_until_finished(database, report.submission_id).done == len(ids)
    assert broker.dead_letters() == (0, "")
    assert worker.process.poll() is None


def texts(database: Engine) -> dict[int, str]:
    """The conversation of every job."""
    with reading(database) as connection:
        return dict(connection.execute(select(Job.id, Job.text).order_by(Job.id)).all())


def body_of(job: ChunkJob) -> str:
    """The encoded body of a message with this job."""
    body: str = json.loads(build_envelope(Chunk((job,)), "any"))["body"]
    return body


def test_the_doctor_counts_them_and_they_can_be_queued_again_or_deleted(
    settings: Settings,
    broker: Broker,
    client: redis.Redis,
    start_worker: WorkerStarter,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in settings.to_environment().items():
        monkeypatch.setenv(name, value)
    queue = queue_name(settings.queue)
    client.lpush(queue, encode(BAD_MESSAGES["empty body"](good_message(queue))))
    worker = start_worker()
    wait_until(lambda: broker.dead_letters()[0] == 1, "the message set aside")

    warnings = [each.sentence for each in examine(settings) if each.level == Level.WARNING and each.subject == "queue"]
    assert len(warnings) == 1
    assert "1 message that no worker could read" in warnings[0]
    assert "whose body is not one argument" in warnings[0]
    assert "`aftercall requeue --dead`" in warnings[0]
    assert "`aftercall purge --dead`" in warnings[0]

    assert call(["requeue", "--dead"]) == 0
    assert "1 message put back into the queue" in capsys.readouterr().out
    wait_until(lambda: worker.log.read_text().count("set aside") == 2, "set aside once more")
    wait_until(lambda: broker.dead_letters()[0] == 1, "in the list again")

    assert call(["purge", "--dead", "--dry-run"]) == 0
    assert broker.dead_letters()[0] == 1
    assert call(["purge", "--dead", "--yes"]) == 0
    assert "1 message deleted" in capsys.readouterr().out
    assert broker.dead_letters() == (0, "")
    assert call(["purge", "--dead", "--yes"]) == 0
    assert "no dead messages" in capsys.readouterr().out


def test_the_list_does_not_grow_without_end(client: redis.Redis, settings: Settings) -> None:
    for number in range(MAX_KEPT + 5):
        dead_letters.add(client, settings.queue, str(number).encode(), "a message that is not JSON")
    assert client.llen(list_key(settings.queue)) == MAX_KEPT
    assert client.lindex(list_key(settings.queue), 0) == str(MAX_KEPT + 4).encode()


def call(arguments: list[str]) -> int:
    """The exit code of a command."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert isinstance(ended.value.code, int)
    return ended.value.code
