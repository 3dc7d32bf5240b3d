"""The whole path with a scripted engine: source, ledger, Redis, a Celery worker process, results. Both databases."""

from pathlib import Path

from sqlalchemy import Engine, func, select

from aftercall.broker import Broker
from aftercall.database import reading
from aftercall.ledger import account, control, failures
from aftercall.ledger.account import Account
from aftercall.models import JobState, Summary
from aftercall.settings import Settings
from aftercall.sweep import Sweeper
from tests.fixtures.workers import (
    ScriptedWorker,
    WorkerStarter,
    conversation_text,
    expected_summaries,
    pass_time,
    submit_file,
    summaries_by_id,
    wait_until,
    wait_until_finished,
    write_source,
)

IDS = [f"C-{number:03d}" for number in range(200)]


def num_summaries(database: Engine) -> int:
    """All rows of the summary table."""
    with reading(database) as connection:
        return connection.execute(select(func.count()).select_from(Summary)).scalar_one()


def num_attempts(worker: ScriptedWorker, word: str) -> int:
    """How often the worker's engine was asked for the conversations that open with this word."""
    return sum(count for line, count in worker.num_calls.items() if word in line)


def test_every_conversation_gets_its_own_summary_once(
    tmp_path: Path, settings: Settings, database: Engine, start_worker: WorkerStarter
) -> None:
    source = write_source(tmp_path / "night.csv", IDS)
    report = submit_file(source, database, settings)
    worker = start_worker()

    assert wait_until_finished(database, report.submission_id).done == len(IDS)
    assert summaries_by_id(database, report.submission_id) == expected_summaries(IDS)
    assert list(summaries_by_id(database, report.submission_id)) == IDS
    assert set(worker.num_calls.values()) == {1}

    again = submit_file(source, database, settings)
    assert (again.submission_id, again.num_added) == (report.submission_id, 0)
    assert account.account(database, report.submission_id).open == 0
    assert num_summaries(database) == len(IDS)


def test_an_overlapping_source_computes_only_what_is_new(
    tmp_path: Path, settings: Settings, database: Engine, start_worker: WorkerStarter
) -> None:
    worker = start_worker()
    monday = submit_file(write_source(tmp_path / "monday.csv", IDS[:60]), database, settings)
    wait_until_finished(database, monday.submission_id)
    tuesday = submit_file(write_source(tmp_path / "tuesday.csv", IDS[40:100]), database, settings)
    wait_until_finished(database, tuesday.submission_id)

    assert (tuesday.num_added, tuesday.num_known) == (60, 20)
    assert summaries_by_id(database, tuesday.submission_id) == expected_summaries(IDS[40:100])
    assert worker.num_calls.total() == 100


def test_what_cannot_be_summarized_or_clashes_stands_in_the_account_and_is_never_computed(
    tmp_path: Path, settings: Settings, database: Engine, start_worker: WorkerStarter
) -> None:
    texts = iter([conversation_text("a"), "Customer: hi\n", conversation_text("b")])
    source = write_source(tmp_path / "odd.csv", ["a", "greeting", "a"], lambda _: next(texts))
    report = submit_file(source, database, settings)
    worker = start_worker()

    assert wait_until_finished(database, report.submission_id) == Account(
        submitted=2, waiting=0, running=0, done=1, failed=0, cancelled=0, insufficient=1
    )
    [clash] = report.examples
    line_of_the_second_a = source.read_text().partition("order b")[0].count("\n") + 1
    assert (clash.line, "'a' stands on an earlier line" in clash.reason) == (line_of_the_second_a, True)
    assert clash.reason in Path(f"{source}.rejected.csv").read_text()
    assert worker.num_calls.total() == 1


def test_one_poisoned_conversation_fails_alone_and_can_be_replayed(
    tmp_path: Path, settings: Settings, database: Engine, start_worker: WorkerStarter
) -> None:
    source = write_source(tmp_path / "night.csv", [*IDS[:15], "POISON"])
    report = submit_file(source, database, settings)
    worker = start_worker()

    standing = wait_until_finished(database, report.submission_id)
    assert (standing.done, standing.failed) == (15, 1)
    assert num_attempts(worker, "POISON") == settings.max_attempts
    assert worker.num_calls.total() == 15 + settings.max_attempts
    [failure] = failures.counts(database, report.submission_id)
    assert (failure.code, failure.example, failure.num_conversations) == ("engine_error", "the script says so", 1)

    assert control.requeue(database, report.submission_id, [JobState.FAILED]) == 1
    assert wait_until_finished(database, report.submission_id).failed == 1
    assert num_attempts(worker, "POISON") == 2 * settings.max_attempts


def test_a_conversation_that_kills_the_process_takes_nobody_along(
    tmp_path: Path, settings: Settings, database: Engine, start_worker: WorkerStarter
) -> None:
    source = write_source(tmp_path / "night.csv", [*IDS[:15], "KILL"])
    report = submit_file(source, database, settings)
    for _ in range(settings.max_attempts):
        # Slow, so that whoever may be in the engine beside it is there when it kills.
        assert start_worker("--call-s", "0.5").wait() == -9
        pass_time(database, settings.lease_s)
    start_worker()

    standing = wait_until_finished(database, report.submission_id)
    assert (standing.done, standing.failed) == (15, 1)
    [failure] = failures.counts(database, report.submission_id)
    assert failure.code == "worker_lost"


def test_cancelling_keeps_what_is_running_and_starts_nothing_more(
    tmp_path: Path, settings: Settings, database: Engine, start_worker: WorkerStarter
) -> None:
    report = submit_file(write_source(tmp_path / "night.csv", IDS), database, settings)
    worker = start_worker("--threads", "2", is_held=True)
    wait_until(lambda: worker.num_calls.total() == 32, "two chunks in the engine")

    assert control.cancel(database, report.submission_id) == len(IDS)
    worker.hold.unlink()
    wait_until(lambda: account.account(database, report.submission_id).done == 32, "the running chunks written")
    broker = Broker(settings)
    wait_until(lambda: broker.depth() == 0, "the cancelled chunks dropped")
    broker.close()

    assert account.account(database, report.submission_id) == Account(
        submitted=200, waiting=0, running=0, done=32, failed=0, cancelled=168, insufficient=0
    )
    assert worker.num_calls.total() == 32

    assert control.requeue(database, report.submission_id, [JobState.CANCELLED]) == 168
    assert wait_until_finished(database, report.submission_id).done == len(IDS)
    assert set(worker.num_calls.values()) == {1}


def test_more_than_the_window_waits_in_the_ledger_and_is_topped_up(
    tmp_path: Path, settings: Settings, database: Engine, start_worker: WorkerStarter
) -> None:
    settings = settings.model_copy(update={"window": 48})
    report = submit_file(write_source(tmp_path / "night.csv", IDS), database, settings)
    broker = Broker(settings)
    assert len(broker.waiting_job_ids()) == 48
    assert Sweeper(database, broker, settings).sweep().num_sent == 0
    broker.close()
    start_worker(settings=settings)

    assert wait_until_finished(database, report.submission_id).done == len(IDS)
