"""Conversations that break what works on them: each fails alone, with a code and a sentence, and the rest is done."""

import json
from collections.abc import Iterable
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from aftercall.broker import Broker
from aftercall.database import reading
from aftercall.ledger import account, delivery, failures
from aftercall.message import Chunk, ChunkJob
from aftercall.models import Job
from aftercall.settings import Settings
from tests.fixtures.workers import (
    TIMEOUT_S,
    ScriptedWorker,
    WorkerStarter,
    conversation_text,
    expected_summaries,
    submit_file,
    summaries_by_id,
    wait_until,
    wait_until_finished,
    write_source,
)

IDS = [f"C-{number:03d}" for number in range(40)]


def finish_as_under_a_supervisor(
    start_worker: WorkerStarter, settings: Settings, database: Engine, submission_id: int
) -> list[int]:
    """Start a worker whenever there is none, until nothing is open; returns the exit codes of those that ended."""
    workers: list[ScriptedWorker] = []

    def is_finished() -> bool:
        if not workers or workers[-1].process.poll() is not None:
            workers.append(start_worker("--threads", "2", settings=settings))
        return account.account(database, submission_id).open == 0

    # The lives of several workers, one after the other.
    wait_until(is_finished, "every conversation at rest", 3 * TIMEOUT_S)
    return [code for worker in workers if (code := worker.process.poll()) is not None]


def assert_failed_alone(
    database: Engine, submission_id: int, healthy: Iterable[str], poisoned: str, code: str, words: str
) -> None:
    """The poisoned conversation failed, with code and reason; all others have their summaries."""
    summaries = summaries_by_id(database, submission_id)
    assert summaries.pop(poisoned) is None
    assert summaries == expected_summaries(healthy)
    [failure] = failures.counts(database, submission_id)
    assert (failure.code, failure.num_conversations) == (code, 1)
    assert words in failure.example


def num_attempts(start_worker: WorkerStarter, external_id: str) -> int:
    """How often a conversation was given to an engine."""
    return sum(count for turn, count in start_worker.num_calls.items() if f" {external_id} " in turn)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_one_that_makes_the_engine_raise(
    tmp_path: Path, settings: Settings, database: Engine, start_worker: WorkerStarter
) -> None:
    report = submit_file(write_source(tmp_path / "night.csv", [*IDS, "BREAK"]), database, settings)
    exit_codes = finish_as_under_a_supervisor(start_worker, settings, database, report.submission_id)

    assert_failed_alone(
        database, report.submission_id, IDS, "BREAK", "engine_lost", "the engine was lost: the script breaks the engine"
    )
    assert num_attempts(start_worker, "BREAK") == settings.max_attempts
    assert exit_codes[:2] == [0, 0]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_one_for_which_the_device_has_no_memory(
    tmp_path: Path, settings: Settings, database: Engine, start_worker: WorkerStarter
) -> None:
    report = submit_file(write_source(tmp_path / "night.csv", [*IDS[:20], "MEMORY"]), database, settings)
    worker = start_worker(settings=settings, module="tests.fixtures.model_worker")

    standing = wait_until_finished(database, report.submission_id)
    assert (standing.done, standing.failed) == (20, 1)
    assert summaries_by_id(database, report.submission_id)["MEMORY"] is None
    [failure] = failures.counts(database, report.submission_id)
    assert failure.code == "out_of_memory"
    assert "The device has no memory for this prompt: CUDA out of memory." in failure.example
    assert worker.process.poll() is None


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_one_that_never_ends(tmp_path: Path, settings: Settings, database: Engine, start_worker: WorkerStarter) -> None:
    settings = settings.model_copy(update={"engine_timeout_s": 8.0, "max_attempts": 2})
    report = submit_file(write_source(tmp_path / "night.csv", [*IDS, "HANG"]), database, settings)
    exit_codes = finish_as_under_a_supervisor(start_worker, settings, database, report.submission_id)

    assert_failed_alone(database, report.submission_id, IDS, "HANG", "engine_hung", "the engine gave no answer for 8 s")
    assert num_attempts(start_worker, "HANG") == settings.max_attempts
    assert set(exit_codes) == {75}


def test_one_of_ten_megabytes_is_rejected_with_its_line(
    tmp_path: Path, settings: Settings, database: Engine, start_worker: WorkerStarter
) -> None:
    def text(external_id: str) -> str:
        return conversation_text(external_id) + "Agent: word\n" * (850_000 if external_id == "HUGE" else 1)

    report = submit_file(write_source(tmp_path / "night.csv", [*IDS[:3], "HUGE", *IDS[3:]], text), database, settings)
    start_worker()

    assert wait_until_finished(database, report.submission_id).done == len(IDS)
    [rejected] = report.examples
    assert rejected.line == 2 + 3 * 4
    assert "longer than 1,000,000 characters; AFTERCALL_MAX_CONVERSATION_CHARS" in rejected.reason


def test_one_of_ten_megabytes_that_is_let_in_travels_alone_and_is_cut_to_the_context(
    tmp_path: Path, settings: Settings, database: Engine, start_worker: WorkerStarter
) -> None:
    def text(external_id: str) -> str:
        turns = f"Agent: {'word ' * 4_000}\nCustomer: {'answer ' * 3_000}\n" * (250 if external_id == "HUGE" else 0)
        return conversation_text(external_id) + turns

    settings = settings.model_copy(update={"max_conversation_chars": 20_000_000})
    report = submit_file(write_source(tmp_path / "night.csv", [*IDS[:3], "HUGE", *IDS[3:]], text), database, settings)
    start_worker("--threads", "2", settings=settings)

    assert wait_until_finished(database, report.submission_id).done == len(IDS) + 1
    coverage = {
        result.external_id: result.summary.coverage
        for result in account.results(database, report.submission_id)
        if result.summary is not None
    }
    assert 0 < coverage.pop("HUGE") < 0.02
    assert set(coverage.values()) == {1.0}
    assert set(start_worker.num_calls.values()) == {1}


def test_what_no_database_takes_is_cleaned_away_or_rejected_with_its_line(
    tmp_path: Path, settings: Settings, database: Engine, start_worker: WorkerStarter
) -> None:
    ugly = {
        "nul": "Customer: my order nul did\0not arrive yet\nAgent: sorry\n",
        "half": "Customer: my order half \ud83d did not arrive yet\nAgent: sorry\n",
        "i\0d": "Customer: my order did not arrive yet\nAgent: sorry\n",
        "id\udc00": "Customer: my order did not arrive yet\nAgent: sorry\n",
    }
    rows = {**{external_id: conversation_text(external_id) for external_id in IDS}, **ugly}
    source = tmp_path / "night.jsonl"
    source.write_text("".join(json.dumps({"id": id_, "transcript": text}) + "\n" for id_, text in rows.items()))
    report = submit_file(source, database, settings)
    start_worker()

    assert wait_until_finished(database, report.submission_id).done == len(IDS) + 2
    summaries = summaries_by_id(database, report.submission_id)
    assert summaries["nul"] == "Summary of: user: my order nul did not arrive yet agent: sorry"
    assert summaries["half"] == "Summary of: user: my order half did not arrive yet agent: sorry"
    assert [rejected.line for rejected in report.examples] == [len(IDS) + 3, len(IDS) + 4]
    assert all("not printable" in rejected.reason for rejected in report.examples)


def test_a_nul_byte_in_a_file_costs_no_other_row(
    tmp_path: Path, settings: Settings, database: Engine, start_worker: WorkerStarter
) -> None:
    source = write_source(tmp_path / "night.csv", [*IDS, "raw", "i?d"])
    source.write_bytes(source.read_bytes().replace(b"order raw did", b"order raw\0did").replace(b"i?d,", b"i\0d,"))
    report = submit_file(source, database, settings)
    start_worker()

    assert wait_until_finished(database, report.submission_id).done == len(IDS) + 1
    assert summaries_by_id(database, report.submission_id) == expected_summaries([*IDS, "raw"])
    [rejected] = report.examples
    assert rejected.line == 2 + 3 * (len(IDS) + 1)


@pytest.mark.parametrize("poison", ["\0", "\ud83d"], ids=["NUL", "half a surrogate pair"])
def test_a_message_that_was_tampered_with_costs_nobody_an_attempt(
    poison: str, tmp_path: Path, settings: Settings, database: Engine, broker: Broker, start_worker: WorkerStarter
) -> None:
    # A window of one: what else is sent, the test sends.
    settings = settings.model_copy(update={"window": 1})
    report = submit_file(write_source(tmp_path / "night.csv", IDS[:16]), database, settings)
    jobs = [entry.job for entry in delivery.unsent(database, 100)]
    delivery.mark_sent(database, [job.job_id for job in jobs])
    broker.send([Chunk((*jobs[:-1], ChunkJob(jobs[-1].job_id, jobs[-1].text + poison)))])
    # One thread: what is sent again because nobody has claimed it yet comes after this message.
    worker = start_worker("--threads", "1")

    assert wait_until_finished(database, report.submission_id).done == 16
    assert summaries_by_id(database, report.submission_id) == expected_summaries(IDS[:16])
    with reading(database) as connection:
        assert set(connection.execute(select(Job.attempts)).scalars()) == {1}
    assert "a message of another ledger: 1 of its conversations" in worker.log.read_text()


def test_a_model_that_writes_nul_is_not_written_about_for_ever(
    tmp_path: Path, settings: Settings, database: Engine, start_worker: WorkerStarter
) -> None:
    report = submit_file(write_source(tmp_path / "night.csv", [*IDS[:15], "NUL"]), database, settings)
    start_worker()

    assert wait_until_finished(database, report.submission_id).done == 16
    assert summaries_by_id(database, report.submission_id) == expected_summaries([*IDS[:15], "NUL"])


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_one_on_which_the_model_repeats_itself(
    tmp_path: Path, settings: Settings, database: Engine, start_worker: WorkerStarter
) -> None:
    report = submit_file(write_source(tmp_path / "night.csv", [*IDS[:8], "LOOP"]), database, settings)
    start_worker()
    wait_until_finished(database, report.submission_id)
    assert_failed_alone(database, report.submission_id, IDS[:8], "LOOP", "degenerate", "repeated itself")
    assert num_attempts(start_worker, "LOOP") == 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_one_that_nobody_answered_is_refused_where_that_is_set(
    tmp_path: Path, settings: Settings, database: Engine, start_worker: WorkerStarter
) -> None:
    source = tmp_path / "night.csv"
    source.write_text("id,transcript\n1,Customer: where is my parcel from last week\n")
    report = submit_file(source, database, settings)
    start_worker(settings=settings.model_copy(update={"one_sided": "refuse"}))
    wait_until_finished(database, report.submission_id)
    [failure] = failures.counts(database, report.submission_id)
    assert failure.code == "one_sided"
    assert "AFTERCALL_ONE_SIDED" in failure.example
