"""Workers as the ledger sees them: which are alive, what each serves, and when the last heartbeat came."""

import time
from dataclasses import replace

import pytest
from sqlalchemy import Engine, func, select, update

from aftercall import __version__, schema
from aftercall.database import now, reading
from aftercall.ledger import workers
from aftercall.ledger.workers import LIVE_S, WorkerRecord
from aftercall.message import MESSAGE_VERSION
from aftercall.models import Worker
from tests.fixtures.workers import WorkerStarter, wait_until
from worker.loading.load import ModelProvenance
from worker.upkeep.presence import Presence

PROVENANCE = ModelProvenance("phi-1_5", "d", "nf4", "bfloat16", "abc", None, is_adapter_merged=False)

RECORD = WorkerRecord("aftercall-gpu0/host/1", "0.1.0", 1, "0005", "phi-1_5", None)


def grow_old(database: Engine, seconds: float) -> None:
    """Move the last heartbeat so many seconds into the past."""
    with database.begin() as connection:
        connection.execute(update(Worker).values(seen_at=Worker.seen_at - seconds))


def num_rows(database: Engine) -> int:
    """How many workers the ledger knows, dead ones too."""
    with reading(database) as connection:
        return connection.execute(select(func.count()).select_from(Worker)).scalar_one()


def test_a_heartbeat_keeps_a_worker_alive_until_the_next_is_long_overdue(database: Engine) -> None:
    workers.record_heartbeat(database, RECORD)
    grow_old(database, LIVE_S / 2)
    [one] = workers.alive(database)
    assert one.worker == RECORD
    assert one.heartbeat_age_s >= LIVE_S / 2

    workers.record_heartbeat(database, RECORD)
    [one] = workers.alive(database)
    assert one.heartbeat_age_s < LIVE_S / 2

    grow_old(database, LIVE_S)
    assert workers.alive(database) == []


def test_a_worker_that_exits_is_removed_and_a_dead_one_is_deleted_in_time(database: Engine) -> None:
    workers.record_heartbeat(database, RECORD)
    workers.remove(database, RECORD.name)
    assert workers.alive(database) == []

    workers.record_heartbeat(database, RECORD)
    workers.delete_stale(database, 3_600.0)
    assert num_rows(database) == 1
    grow_old(database, 7_200.0)
    workers.delete_stale(database, 3_600.0)
    assert num_rows(database) == 0


def test_presence_records_what_is_served_and_ends_with_the_block(
    database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "HEARTBEAT_INTERVAL_S", 0.05)
    with Presence(database, RECORD) as presence:
        assert [one.worker.adapter_digest for one in workers.alive(database)] == [None]
        presence.serve(PROVENANCE)
        grow_old(database, 30.0)
        wait_until(lambda: workers.alive(database)[0].heartbeat_age_s < 30, "the next heartbeat")
        [one] = workers.alive(database)
        assert one.worker == replace(RECORD, adapter_digest="abc", quantization="nf4", compute_dtype="bfloat16")
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
    workers.record_heartbeat(database, RECORD)
    with database.begin() as connection:
        connection.execute(update(Worker).values(started_at=now() - 3600))
    assert workers.alive(database)[0].age_s == pytest.approx(3600, abs=LIVE_S)
