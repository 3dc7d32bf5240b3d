"""The pause: nothing new is sent or begun, what is in progress ends, and everything says so."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine

from aftercall.broker import Broker
from aftercall.ledger import account, audit, delivery, pause, work
from aftercall.settings import Settings
from aftercall.sweep import Sweeper
from tests.fixtures.command import Answer
from tests.fixtures.json_schemas import read_valid
from tests.fixtures.workers import (
    WorkerStarter,
    assert_never,
    submit_file,
    wait_until,
    wait_until_finished,
    write_source,
)
from tests.integration.test_ledger import claim_all, submit, summary

IDS = [f"C-{number:03d}" for number in range(64)]
SQLITE_ONLY = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_while_paused_nothing_is_claimed_and_what_is_held_is_kept(database: Engine) -> None:
    submit(database, "a", "b")
    (held,) = [job.job_id for job in work.claim(database, [1], work.Lease("w", 60.0), 3)]
    assert pause.begin(database, "the GPU is moved")
    assert claim_all(database) == []
    assert not work.has_last_try(database, [2], 1)

    work.complete(database, [summary(held)])
    assert account.account(database, 1).done == 1
    assert pause.end(database)
    assert len(claim_all(database)) == 1


def test_while_paused_nothing_is_sent_and_nothing_counts_as_lost(
    tmp_path: Path, settings: Settings, database: Engine, broker: Broker
) -> None:
    settings = settings.model_copy(update={"lost_after_s": 0.1})
    submit_file(write_source(tmp_path / "sent.csv", IDS), database, settings)
    broker._redis.delete(settings.queue)
    pause.begin(database, "")
    submit_file(write_source(tmp_path / "later.csv", ["late"]), database, settings)
    sweeper = Sweeper(database, broker, settings)
    wait_until(lambda: len(delivery.sent_before(database, 0.1)) == len(IDS), "messages old enough to be lost")
    assert (sweeper.sweep().num_sent, sweeper.sweep().num_lost, broker.depth()) == (0, 0, 0)

    pause.end(database)
    swept = sweeper.sweep()
    assert (swept.num_lost, swept.num_sent) == (len(IDS), len(IDS) + 1)


def test_a_second_pause_changes_nothing_and_all_is_audited(database: Engine) -> None:
    assert not pause.end(database)
    assert pause.begin(database, "first")
    assert not pause.begin(database, "second")
    paused = pause.current(database)
    assert paused is not None
    assert paused.reason == "first"
    assert pause.end(database)
    assert pause.current(database) is None
    recorded = [(row.entry.action, dict(row.entry.details)) for row in audit.entries(database, 10)]
    assert recorded == [("resume", {}), ("pause", {"reason": "first"})]


def test_workers_end_what_they_hold_and_begin_nothing_until_resumed(
    tmp_path: Path, settings: Settings, database: Engine, start_worker: WorkerStarter
) -> None:
    number = submit_file(write_source(tmp_path / "night.csv", IDS), database, settings).submission_id
    worker = start_worker("--threads", "1", is_held=True)
    wait_until(lambda: account.account(database, number).running == 16, "one chunk in the engine")
    pause.begin(database, "")
    worker.hold.unlink()
    wait_until(lambda: account.account(database, number).done == 16, "the chunk that was held")
    # One that is started while it lasts takes nothing either.
    start_worker()
    assert_never(lambda: account.account(database, number).running, "something was begun in the pause", 2.0)

    pause.end(database)
    assert wait_until_finished(database, number).done == 64
    assert set(start_worker.num_calls.values()) == {1}


def test_a_worker_that_waits_in_a_pause_stops_at_once_and_gives_its_chunks_back(
    tmp_path: Path, settings: Settings, database: Engine, broker: Broker, start_worker: WorkerStarter
) -> None:
    settings = settings.model_copy(update={"lost_after_s": 3_600.0, "drain_timeout_s": 600.0})
    number = submit_file(write_source(tmp_path / "night.csv", IDS), database, settings).submission_id
    pause.begin(database, "")
    worker = start_worker("--threads", "2", settings=settings)
    wait_until(lambda: broker.depth() <= 2, "chunks that wait in the worker")
    worker.terminate()
    assert worker.wait() == 0
    assert delivery.num_sent(database).total() < 64

    pause.end(database)
    start_worker(settings=settings)
    assert wait_until_finished(database, number).done == 64


@SQLITE_ONLY
def test_every_command_says_that_it_is_paused(
    command: Callable[..., Answer], database: Engine, broker: Broker, tmp_path: Path
) -> None:
    assert "nothing is paused" in command("resume").output
    answer = command("pause", "--reason", "the GPU is moved")
    assert answer.exit_code == 0
    said = "(the GPU is moved): nothing new is sent or begun. `aftercall resume` ends that."
    assert said in answer.output
    assert "it was paused before" in command("pause").output

    assert said in command("submit", str(write_source(tmp_path / "night.csv", IDS))).output
    assert broker.depth() == 0
    assert said in command("status").output
    assert said in command("doctor").output
    waited = command("wait", "--latest", "--timeout", "1s")
    assert waited.exit_code == 15
    assert "time is up. paused since" in waited.output
    run = command("run", str(tmp_path / "night.csv"))
    assert (run.exit_code, said in run.errors) == (1, True)

    for call in (["status", "--json"], ["wait", "--latest", "--timeout", "1s", "--json"]):
        told = read_valid(call[0], command(*call).output)
        assert told["paused"]["reason"] == "the GPU is moved"
        assert told["submissions"][0]["priority"] == "normal"
        assert told["submissions"][0]["sentence"].startswith("no estimate: paused since")

    resumed = command("resume")
    assert "64 conversations sent" in resumed.output
    assert broker.depth() == 4
    assert json.loads(command("status", "--json").output)["paused"] is None
    assert [row.entry.action for row in audit.entries(database, 10)] == ["resume", "submit", "pause"]


def test_a_pause_needs_a_ledger(aftercall: Callable[..., Answer]) -> None:
    answer = aftercall("pause")
    assert answer.exit_code == 11
    assert "so nothing is paused. Run this in the folder of the other commands" in answer.errors
