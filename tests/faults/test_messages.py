"""Messages that come twice, that can't be read, or that must not be."""

import pickle
from pathlib import Path

import celery
import pytest
from packaging.version import Version
from sqlalchemy import Engine

from aftercall.broker import Broker, create_app
from aftercall.ledger import delivery
from aftercall.message import TASK_NAME, Chunk, ChunkJob
from aftercall.settings import Settings
from tests.fixtures.workers import (
    WorkerStarter,
    expected_summaries,
    submit_file,
    summaries_by_id,
    wait_until,
    wait_until_finished,
    write_source,
)

IDS = [f"C-{number:03d}" for number in range(32)]


def test_the_celery_pin_holds() -> None:
    # 5.7.0 exits with AttributeError when Redis goes down while a threads worker holds a late-ack task: 28 of 28.
    assert Version("5.6.3") <= Version(celery.__version__) < Version("5.7")


def test_messages_sent_twice_and_to_two_workers_count_once(
    tmp_path: Path, settings: Settings, database: Engine, broker: Broker, start_worker: WorkerStarter
) -> None:
    # A window of one: what else is sent, the test sends.
    settings = settings.model_copy(update={"window": 1})
    report = submit_file(write_source(tmp_path / "night.csv", IDS), database, settings)
    jobs = [entry.job for entry in delivery.unsent(database, 100)]
    delivery.mark_sent(database, [job.job_id for job in jobs])
    broker.send([Chunk(tuple(jobs[:20]))] * 3 + [Chunk(tuple(jobs[10:]))] * 3)
    workers = [start_worker(is_held=True) for _ in range(2)]
    wait_until(lambda: broker.depth() == 0, "every message with a worker")
    for worker in workers:
        worker.hold.unlink()

    assert wait_until_finished(database, report.submission_id).done == len(IDS)
    assert summaries_by_id(database, report.submission_id) == expected_summaries(IDS)
    assert set(start_worker.num_calls.values()) == {1}


def test_a_message_of_another_ledger_puts_no_summary_under_a_wrong_number(
    tmp_path: Path, settings: Settings, database: Engine, broker: Broker, start_worker: WorkerStarter
) -> None:
    # A window of one and one thread: the message that outlived its ledger comes before those that the sweep sends.
    settings = settings.model_copy(update={"window": 1})
    report = submit_file(write_source(tmp_path / "night.csv", IDS[:4]), database, settings)
    jobs = [entry.job for entry in delivery.unsent(database, 100)]
    broker.send([Chunk(tuple(ChunkJob(job.job_id, "user: another night's conversation altogether\n") for job in jobs))])
    worker = start_worker("--threads", "1", settings=settings)

    assert wait_until_finished(database, report.submission_id).done == 4
    assert summaries_by_id(database, report.submission_id) == expected_summaries(IDS[:4])
    assert "a message of another ledger" in worker.log.read_text()


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        ({"version": 99, "jobs": []}, "a message of version 99; this version of aftercall reads 1"),
        ({"version": 1, "jobs": "garbage"}, "a message without a list of jobs"),
        ({"version": 1}, "a message without a list of jobs"),
        ("no object at all", "a message that is not a JSON object"),
    ],
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_message_that_cannot_be_read_is_refused_and_the_ledger_sends_its_jobs_again(
    message: object,
    sentence: str,
    tmp_path: Path,
    settings: Settings,
    database: Engine,
    broker: Broker,
    start_worker: WorkerStarter,
) -> None:
    # A window of one: the others' message is the one that cannot be read.
    settings = settings.model_copy(update={"window": 1})
    report = submit_file(write_source(tmp_path / "night.csv", IDS), database, settings)
    delivery.mark_sent(database, [entry.job.job_id for entry in delivery.unsent(database, 100)])
    with create_app(settings) as app:
        app.send_task(TASK_NAME, args=[message])
    worker = start_worker()

    assert wait_until_finished(database, report.submission_id).done == len(IDS)
    wait_until(lambda: sentence in worker.log.read_text(), "the worker says what it was")
    assert worker.process.poll() is None


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self._path,)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_pickle_is_refused_unread(
    tmp_path: Path, settings: Settings, database: Engine, start_worker: WorkerStarter
) -> None:
    trapped = tmp_path / "trapped"
    body = pickle.dumps(([Trap(trapped)], {}, {}))
    with create_app(settings) as app, app.producer_pool.acquire() as producer:
        producer.publish(
            body,
            routing_key=settings.queue,
            content_type="application/x-python-serialize",
            content_encoding="binary",
            headers={"task": TASK_NAME, "id": "1", "lang": "py", "argsrepr": "", "kwargsrepr": ""},
        )
    report = submit_file(write_source(tmp_path / "night.csv", IDS), database, settings)
    worker = start_worker()

    assert wait_until_finished(database, report.submission_id).done == len(IDS)
    assert "set aside a message whose body is not JSON" in worker.log.read_text()
    assert not trapped.exists()
    # The trap does work: whoever unpickles it finds the file.
    pickle.loads(body)  # noqa: S301
    assert trapped.exists()
