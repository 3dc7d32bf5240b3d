"""What is sent first: the more urgent, and submissions of one priority by turns. Against a real Valkey."""

from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from aftercall.broker import Broker
from aftercall.database import reading
from aftercall.envelope import read_envelope
from aftercall.ledger import account, control, delivery, intake, work
from aftercall.models import Job, JobState, Priority, SubmissionJob
from aftercall.settings import Settings
from aftercall.sweep import Sweeper
from producer.source import open_source
from producer.submit import SubmitOptions, SubmitReport, submit
from tests.fixtures.workers import WorkerStarter, wait_until, wait_until_finished, write_source
from tests.integration.test_ledger import new_job

LEASE = work.Lease("worker", 600.0)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A window of forty in chunks of ten; no message counts as lost."""
    return settings.model_copy(update={"chunk_size": 10, "window": 40, "lost_after_s": 3_600.0})


@pytest.fixture
def sweeper(settings: Settings, database: Engine, broker: Broker) -> Sweeper:
    """The sweeper of this test's ledger and queue."""
    return Sweeper(database, broker, settings)


def add(database: Engine, name: str, num: int, priority: Priority = Priority.NORMAL, batch: int = 10) -> int:
    """A submission of so many conversations, which arrive in batches."""
    number = intake.open_submission(database, f"{name}.csv", name, priority)
    jobs = [new_job(f"{name}-{index:03d}", position=index) for index in range(num)]
    for start in range(0, num, batch):
        intake.add_jobs(database, number, jobs[start : start + batch])
    return number


def waiting(broker: Broker, settings: Settings) -> list[list[int]]:
    """The jobs of the messages in the queue, in the order in which workers take them."""
    raw = reversed(broker._redis.lrange(settings.queue, 0, -1))
    return [[job.job_id for job in read_envelope(each).jobs] for each in raw]


def owners(database: Engine, chunks: list[list[int]]) -> list[set[str]]:
    """The names of the submissions that each message's jobs were added with."""
    with reading(database) as connection:
        names = dict(connection.execute(select(SubmissionJob.job_id, SubmissionJob.external_id)).all())
    return [{names[job_id].partition("-")[0] for job_id in chunk} for chunk in chunks]


def take(broker: Broker, database: Engine, settings: Settings) -> list[int]:
    """Claim the jobs of the next message, as a worker does."""
    raw = broker._redis.rpop(settings.queue)
    job_ids = [job.job_id for job in read_envelope(raw).jobs]
    assert len(work.claim(database, job_ids, LEASE, 3)) == len(job_ids)
    return job_ids


def test_an_urgent_file_is_ahead_of_a_full_window(
    settings: Settings, database: Engine, broker: Broker, sweeper: Sweeper
) -> None:
    add(database, "night", 60)
    assert sweeper.top_up() == 40
    add(database, "urgent", 10, Priority.HIGH)
    assert sweeper.top_up() == 10

    assert owners(database, waiting(broker, settings)) == [{"urgent"}, *[{"night"}] * 4]


def test_urgent_conversations_keep_their_order(
    settings: Settings, database: Engine, broker: Broker, sweeper: Sweeper
) -> None:
    add(database, "night", 60)
    sweeper.top_up()
    add(database, "urgent", 25, Priority.HIGH)
    order: list[int] = []
    # A tenth of the window may go ahead at once; the next ones only when these are taken.
    while "urgent" in owners(database, waiting(broker, settings))[0] or sweeper.sweep().num_sent:
        order += take(broker, database, settings)

    with reading(database) as connection:
        urgent = list(connection.execute(select(Job.id).where(Job.priority == 0).order_by(Job.turn, Job.id)).scalars())
    assert len(urgent) == 25
    assert [job_id for job_id in order if job_id in urgent] == urgent


def test_what_can_wait_is_overtaken_by_what_is_normal(
    settings: Settings, database: Engine, broker: Broker, sweeper: Sweeper
) -> None:
    add(database, "archive", 60, Priority.LOW)
    sweeper.top_up()
    add(database, "night", 10)
    add(database, "urgent", 10, Priority.HIGH)
    sweeper.top_up()

    assert owners(database, waiting(broker, settings))[:3] == [{"urgent"}, {"night"}, {"archive"}]


def test_submissions_of_one_priority_are_sent_by_turns(database: Engine) -> None:
    first = add(database, "first", 60)
    delivery.mark_sent(database, [entry.job.job_id for entry in delivery.unsent(database, 20)])
    second = add(database, "second", 30)

    rest = [entry.job.job_id for entry in delivery.unsent(database, 100)]
    with reading(database) as connection:
        home = dict(connection.execute(select(Job.id, Job.submission_id)).all())
    blocks = [home[job_id] for job_id in rest][::10]
    # The first is at its second batch when the second arrives.
    assert blocks == [second, first, second, first, second, first, first]


def test_what_is_tried_again_takes_its_turn(database: Engine) -> None:
    old = add(database, "old", 30)
    job_ids = [entry.job.job_id for entry in delivery.unsent(database, 30)]
    delivery.mark_sent(database, job_ids)
    for job in work.claim(database, job_ids, LEASE, 3):
        work.fail(database, work.JobFailure(job.job_id, "code", "why", is_final=True), LEASE.owner, 3, 0.0)
    tonight = add(database, "tonight", 10)
    assert control.requeue(database, old, [JobState.FAILED]) == 30

    with reading(database) as connection:
        home = dict(connection.execute(select(Job.id, Job.submission_id)).all())
    order = [home[entry.job.job_id] for entry in delivery.unsent(database, 100)]
    assert order.index(old) < 11
    assert order.index(tonight) == 0


def test_a_shared_conversation_is_as_urgent_as_the_most_urgent_file(
    settings: Settings, database: Engine, broker: Broker, sweeper: Sweeper
) -> None:
    add(database, "night", 40)
    sweeper.top_up()
    urgent = intake.open_submission(database, "urgent.csv", "urgent", Priority.HIGH)
    intake.add_jobs(database, urgent, [new_job("night-039", position=0)])
    sweeper.top_up()

    (shared,) = take(broker, database, settings)
    with reading(database) as connection:
        place = select(SubmissionJob.job_id).where(SubmissionJob.submission_id == urgent)
        assert connection.execute(place).scalar_one() == shared


def submit_as(path: Path, priority: Priority | None, database: Engine, settings: Settings) -> SubmitReport:
    """Submit a file as the command does."""
    broker = Broker(settings)
    options = SubmitOptions(priority=priority)
    with open_source(str(path)) as source:
        sweeper = Sweeper(database, broker, settings)
        report = submit(source, database, sweeper, path.with_suffix(".rejected.csv"), options=options)
    broker.close()
    return report


def test_a_file_submitted_again_with_another_priority_has_that_one(
    tmp_path: Path, settings: Settings, database: Engine, broker: Broker, sweeper: Sweeper
) -> None:
    add(database, "night", 40)
    sweeper.top_up()
    path = write_source(tmp_path / "late.csv", [f"late-{number}" for number in range(10)])
    number = submit_as(path, None, database, settings).submission_id
    assert sweeper.sweep().num_sent == 0

    assert submit_as(path, Priority.HIGH, database, settings).submission_id == number
    sweeper.sweep()
    assert account.submission(database, number).priority == Priority.HIGH
    assert owners(database, waiting(broker, settings))[0] == {"late"}

    submit_as(path, None, database, settings)
    assert account.submission(database, number).priority == Priority.HIGH


def test_a_less_urgent_file_leaves_alone_what_another_wants(database: Engine) -> None:
    both = [new_job("a", position=0), new_job("b", position=1)]
    first = intake.open_submission(database, "first.csv", "first")
    intake.add_jobs(database, first, both)
    second = intake.open_submission(database, "second.csv", "second")
    intake.add_jobs(database, second, both[:1])

    assert control.prioritize(database, first, Priority.LOW) == 1
    with reading(database) as connection:
        found = select(SubmissionJob.external_id, Job.priority).join(Job).where(SubmissionJob.submission_id == first)
        assert dict(connection.execute(found).all()) == {"a": Priority.NORMAL, "b": Priority.LOW}


def test_workers_take_the_urgent_file_next(
    tmp_path: Path, settings: Settings, database: Engine, start_worker: WorkerStarter
) -> None:
    night = write_source(tmp_path / "night.csv", [f"night-{number}" for number in range(60)])
    urgent = write_source(tmp_path / "urgent.csv", [f"urgent-{number}" for number in range(20)])
    submitted = submit_as(night, None, database, settings).submission_id
    worker = start_worker("--threads", "1", is_held=True)
    wait_until(lambda: account.account(database, submitted).running == 10, "the first chunk in the engine")
    number = submit_as(urgent, Priority.HIGH, database, settings).submission_id
    worker.hold.unlink()

    assert wait_until_finished(database, number).done == 20
    assert wait_until_finished(database, submitted).done == 60
    lines = worker.calls.read_text().splitlines()
    last_urgent = max(index for index, line in enumerate(lines) if "urgent-" in line)
    # What the worker held, and the chunk that it had reserved, come first.
    assert last_urgent < 60


def test_urgent_messages_are_signed_like_all_others(settings: Settings, database: Engine) -> None:
    signed = settings.model_copy(update={"message_key": "secret"})
    broker = Broker(signed)
    add(database, "night", 40)
    add(database, "urgent", 10, Priority.HIGH)
    sweeper = Sweeper(database, broker, signed)
    add(database, "more", 10, Priority.HIGH)
    sweeper.top_up()
    messages = broker._redis.lrange(signed.queue, 0, -1)
    assert sum(len(read_envelope(each, "secret").jobs) for each in messages) == 40
    broker.close()
