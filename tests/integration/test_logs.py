"""What workers log: one line an event, and never a word of a conversation."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import Engine

from aftercall.broker import Broker
from aftercall.embedded import broker_log, embedded_broker
from aftercall.ledger import intake
from aftercall.message import queue_name
from aftercall.settings import Settings
from aftercall.sweep import Sweeper
from tests.fixtures.workers import WorkerStarter, submit_file, wait_until, wait_until_finished, write_source

#: In every conversation, and nowhere else.
WORD = "quokkaberry"
FAULTS = ("fine", "POISON", "BREAK", "LOOP", "NUL")


def play(database: Engine, settings: Settings, broker: Broker, start_worker: WorkerStarter, folder: Path) -> list[str]:
    """A night with every kind of failure; the lines of its log."""
    text = "Customer: {word} {fault} did not arrive\nAgent: I look for the {word}\n"
    source = write_source(folder / "night.csv", FAULTS, lambda fault: text.format(word=WORD, fault=fault))
    submission_id = submit_file(source, database, settings).submission_id
    spoilt = f"{WORD} without a speaker\n"
    key = intake.make_job_key(spoilt, "1")
    job = intake.NewJob("spoilt", 9, spoilt, key, "1", is_sufficient=True)
    intake.add_jobs(database, submission_id, [job])
    Sweeper(database, broker, settings).top_up()
    with redis.Redis.from_url(settings.redis_url) as client:
        client.lpush(queue_name(settings.queue), json.dumps({"body": WORD, "text": f"{WORD} again"}))
    worker = start_worker()
    wait_until(lambda: worker.process.poll() is not None, "the engine that breaks ends its worker")
    again = start_worker()
    wait_until(lambda: again.process.poll() is not None, "it breaks again")
    start_worker()
    wait_until_finished(database, submission_id)
    last = start_worker.started[-1]
    last.terminate()
    last.wait()
    return [line for each in start_worker.started for line in each.log.read_text().splitlines()]


def test_logs_are_json_lines_without_a_word_of_a_conversation(
    database: Engine, settings: Settings, broker: Broker, start_worker: WorkerStarter, tmp_path: Path
) -> None:
    settings = settings.model_copy(update={"log": "json", "max_attempts": 3})
    start_worker.settings = settings
    lines = play(database, settings, broker, start_worker, tmp_path)

    told: list[dict[str, Any]] = [json.loads(line) for line in lines]
    for each in told:
        assert list(each)[:5] == ["time", "level", "event", "worker", "message"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", each["time"])
    events = {each["event"] for each in told}
    assert {"serving", "job_failed", "engine_lost", "message_set_aside", "stopping"} <= events
    codes = {each["code"] for each in told if each["event"] == "job_failed"}
    assert {"engine_error", "unreadable_conversation", "degenerate"} <= codes
    [lost, *_] = [each for each in told if each["event"] == "engine_lost"]
    assert lost["exception"].startswith("RuntimeError (the script breaks the engine) at scripted_worker.py:")
    assert WORD not in "\n".join(lines)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_text_logs_are_one_line_an_event_and_hold_no_banner(
    database: Engine, settings: Settings, broker: Broker, start_worker: WorkerStarter, tmp_path: Path
) -> None:
    lines = play(database, settings, broker, start_worker, tmp_path)
    for line in lines:
        assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ worker-\d (INFO|WARNING|ERROR) \S", line), line
    assert WORD not in "\n".join(lines)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_level_that_is_set_is_the_lowest_that_is_logged(
    database: Engine, settings: Settings, start_worker: WorkerStarter, tmp_path: Path
) -> None:
    submit_file(write_source(tmp_path / "night.csv", "ab"), database, settings)
    quiet = start_worker(settings=settings.model_copy(update={"log_level": "warning"}))
    wait_until_finished(database, 1)
    assert "serving" not in quiet.log.read_text()


def test_the_servers_log_goes_on_in_a_new_file_when_it_was_renamed(tmp_path: Path) -> None:
    log = broker_log(tmp_path)
    with embedded_broker(tmp_path) as url, redis.Redis.from_url(url) as client:
        older = log.rename(log.with_name("valkey.log.1"))
        client.bgrewriteaof()
        wait_until(lambda: log.exists() and "rewrit" in log.read_text(), "lines in a new file")
    assert "Ready to accept connections" in older.read_text()
    assert log.stat().st_mode & 0o077 == 0
