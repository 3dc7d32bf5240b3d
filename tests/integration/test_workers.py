"""Workers as the ledger sees them: who is alive, what each serves, and since when one is silent."""

import time

import pytest
from sqlalchemy import Engine, func, select, update

from aftercall import __version__, schema
from aftercall.database import now, reading
from aftercall.ledger import workers
from aftercall.ledger.workers import LIVE_S, WorkerRecord
from aftercall.message import MESSAGE_VERSION
from aftercall.models import Worker
from tests.fixtures.workers import WorkerStarter, wait_until
from worker.upkeep.presence import Presence

RECORD = WorkerRecord("aftercall-gpu0/host/1", "0.1.0", 1, "0004", "phi-1_5", None)


def grow_old(database: Engine, seconds: float) -> None:
    """As if the last sign had been given so much earlier."""
    with database.begin() as connection:
        connection.execute(update(Worker).values(seen_at=Worker.seen_at - seconds))


def num_rows(database: Engine) -> int:
    """How many workers the ledger knows, dead ones too."""
    with reading(database) as connection:
        return connection.execute(select(func.count()).select_from(Worker)).scalar_one()


def test_a_sign_of_life_makes_a_worker_alive_until_it_is_silent_for_too_long(database: Engine) -> None:
    workers.seen(database, RECORD)
    grow_old(database, LIVE_S / 2)
    [one] = workers.alive(database)
    assert one.worker == RECORD
    assert one.silent_s >= LIVE_S / 2

    workers.seen(database, RECORD)
    [one] = workers.alive(database)
    assert one.silent_s < LIVE_S / 2

    grow_old(database, LIVE_S)
    assert workers.alive(database) == []


def test_a_worker_that_ended_is_gone_and_a_dead_one_is_forgotten_in_time(database: Engine) -> None:
    workers.seen(database, RECORD)
    workers.gone(database, RECORD.name)
    assert workers.alive(database) == []

    workers.seen(database, RECORD)
    workers.forget(database, 3_600.0)
    assert num_rows(database) == 1
    grow_old(database, 7_200.0)
    workers.forget(database, 3_600.0)
    assert num_rows(database) == 0


def test_presence_tells_what_is_served_and_ends_with_the_block(
    database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "HEARTBEAT_INTERVAL_S", 0.05)
    with Presence(database, RECORD) as presence:
        assert [one.worker.adapter_digest for one in workers.alive(database)] == [None]
        presence.serve("phi-1_5", "abc")
        grow_old(database, 30.0)
        wait_until(lambda: workers.alive(database)[0].silent_s < 30, "the next sign")
        assert [one.worker.adapter_digest for one in workers.alive(database)] == ["abc"]
    assert workers.alive(database) == []
    time.sleep(0.2)
    assert workers.alive(database) == []


def test_a_worker_process_is_alive_from_its_start_to_its_orderly_end(
    database: Engine, start_worker: WorkerStarter
) -> None:
    stopped, killed = start_worker(), start_worker()
    served = ["", ""]
    wait_until(lambda: [one.worker.adapter_digest for one in workers.alive(database)] == served, "two workers")
    for one in workers.alive(database):
        assert (one.worker.version, one.worker.base_model) == (__version__, "scripted")
        assert (one.worker.message_version, one.worker.schema_revision) == (MESSAGE_VERSION, schema.head())

    stopped.terminate()
    assert stopped.wait() == 0
    killed.kill()
    [left] = workers.alive(database)
    assert left.worker.name.startswith("worker-2/")
    grow_old(database, LIVE_S)
    assert workers.alive(database) == []


def test_times_are_the_databases(database: Engine) -> None:
    workers.seen(database, RECORD)
    with database.begin() as connection:
        connection.execute(update(Worker).values(started_at=now() - 3600))
    assert workers.alive(database)[0].age_s == pytest.approx(3600, abs=LIVE_S)
