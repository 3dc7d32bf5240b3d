"""The database away or busy: finished summaries are kept and written when it is back, not generated again."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, select, text, update

from aftercall import schema
from aftercall.database import connect, reading
from aftercall.ledger import account
from aftercall.ledger.work import SummaryRecord
from aftercall.models import Job, Summary
from aftercall.settings import Settings
from tests.fixtures.breakable import BreakablePostgres
from tests.fixtures.workers import (
    ScriptedWorker,
    WorkerStarter,
    assert_never,
    expected_summaries,
    submit_file,
    summaries_by_id,
    wait_until,
    wait_until_finished,
    write_source,
)
from worker.jobs.spool import Finished, Spool

IDS = [f"C-{number:03d}" for number in range(64)]


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A ledger of the test's own."""
    if request.param == "postgresql":
        yield request.getfixturevalue("own_postgres").url
        return
    url = f"sqlite:///{tmp_path / 'aftercall.db'}"
    engine = connect(url)
    schema.upgrade(engine)
    engine.dispose()
    yield url


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """No heartbeat meets the locks that a test holds."""
    return settings.model_copy(update={"lease_s": 3600.0})


def spooled(settings: Settings) -> list[Path]:
    return list((settings.data_dir / "spool").glob("*.json"))


def start_half_way(
    start_worker: WorkerStarter, settings: Settings, database: Engine, folder: Path
) -> tuple[ScriptedWorker, int]:
    """A worker with two chunks in its engine and two in the queue."""
    report = submit_file(write_source(folder / "night.csv", IDS), database, settings)
    worker = start_worker("--threads", "2", is_held=True)
    wait_until(lambda: worker.num_calls.total() == 32, "two chunks in the engine")
    database.dispose()
    return worker, report.submission_id


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("is_worker_lost", [False, True], ids=["worker lives", "worker dies too"])
def test_what_was_finished_while_postgresql_was_away_is_written_and_not_generated_again(
    is_worker_lost: bool,
    tmp_path: Path,
    settings: Settings,
    own_postgres: BreakablePostgres,
    database: Engine,
    start_worker: WorkerStarter,
) -> None:
    worker, submission_id = start_half_way(start_worker, settings, database, tmp_path)
    own_postgres.crash()
    worker.hold.unlink()
    wait_until(lambda: len(spooled(settings)) == 2, "both finished chunks in the spool")
    assert worker.process.poll() is None
    if is_worker_lost:
        worker.kill()
    own_postgres.start()
    if is_worker_lost:
        start_worker()

    assert wait_until_finished(database, submission_id).done == len(IDS)
    assert summaries_by_id(database, submission_id) == expected_summaries(IDS)
    assert set(start_worker.num_calls.values()) == {1}
    wait_until(lambda: not spooled(settings), "an empty spool")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_writer_who_keeps_sqlite_locked_only_delays_the_work(
    tmp_path: Path, settings: Settings, database: Engine, start_worker: WorkerStarter
) -> None:
    worker, submission_id = start_half_way(start_worker, settings, database, tmp_path)
    with database.begin():
        worker.hold.unlink()
        assert_never(lambda: account.account(database, submission_id).done, "written past the lock", 2.0)

    assert wait_until_finished(database, submission_id).done == len(IDS)
    assert set(worker.num_calls.values()) == {1}
    assert not spooled(settings)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_worker_that_starts_without_a_database_says_so(
    settings: Settings, own_postgres: BreakablePostgres, start_worker: WorkerStarter
) -> None:
    own_postgres.crash()
    worker = start_worker()

    assert worker.wait() == 7
    assert "does not answer" in worker.log.read_text()
    assert "Traceback" not in worker.log.read_text()


def num_waiting(database: Engine) -> int:
    """How many connections of the server wait for another's row."""
    with reading(database) as connection:
        found = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        return int(connection.execute(found).scalar_one())


def hold_job(connection: Connection, job_id: int) -> None:
    """Change a job's row, to no effect, and keep others from changing it until this transaction ends."""
    connection.execute(update(Job).where(Job.id == job_id).values(visible_at=Job.visible_at))


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_serialization_failure_costs_another_try_to_write_and_nothing_else(
    tmp_path: Path, settings: Settings, database: Engine, start_worker: WorkerStarter
) -> None:
    with database.begin() as connection:
        connection.execute(text("ALTER DATABASE postgres SET default_transaction_isolation = 'repeatable read'"))
    database.dispose()
    worker, submission_id = start_half_way(start_worker, settings, database, tmp_path)
    with database.begin() as connection:
        hold_job(connection, 16)
        worker.hold.unlink()
        wait_until(lambda: num_waiting(database) == 1, "the worker at the row that this transaction holds")

    assert wait_until_finished(database, submission_id).done == len(IDS)
    assert "could not serialize access" in worker.log.read_text()
    assert summaries_by_id(database, submission_id) == expected_summaries(IDS)
    assert set(worker.num_calls.values()) == {1}
    wait_until(lambda: not spooled(settings), "an empty spool")


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_deadlock_costs_another_try_to_write_and_nothing_else(
    tmp_path: Path, settings: Settings, database: Engine, start_worker: WorkerStarter
) -> None:
    worker, submission_id = start_half_way(start_worker, settings, database, tmp_path)
    with ThreadPoolExecutor() as pool, database.begin() as connection, database.connect() as gate:
        # The server ends the transaction that looks for a circle and finds one. That is to be the worker's: it waits
        # last, and this one never looks.
        connection.execute(text("SET LOCAL deadlock_timeout = '1h'"))
        hold_job(connection, 16)
        hold_job(gate, 8)
        worker.hold.unlink()
        wait_until(lambda: num_waiting(database) == 1, "the worker at the gate")
        held = pool.submit(hold_job, connection, 1)
        wait_until(lambda: num_waiting(database) == 2, "this transaction at a row that the worker holds")
        gate.rollback()
        held.result()

    assert wait_until_finished(database, submission_id).done == len(IDS)
    assert "deadlock detected" in worker.log.read_text()
    assert summaries_by_id(database, submission_id) == expected_summaries(IDS)
    assert set(worker.num_calls.values()) == {1}
    wait_until(lambda: not spooled(settings), "an empty spool")


def finished(database: Engine, job_id: int, text_: str | None) -> Finished:
    """A job's summary, as a worker would have left it in the spool."""
    names = [field.name for field in fields(SummaryRecord)]
    with reading(database) as connection:
        row = connection.execute(select(Summary).limit(1)).mappings().one()
        job_key = connection.execute(select(Job.job_key).where(Job.id == job_id)).scalar_one()
    return Finished(job_key, SummaryRecord(**{name: row[name] for name in names} | {"job_id": job_id, "text": text_}))


def test_what_the_database_would_never_take_keeps_no_worker_from_starting(
    tmp_path: Path, settings: Settings, database: Engine, start_worker: WorkerStarter
) -> None:
    report = submit_file(write_source(tmp_path / "night.csv", IDS), database, settings)
    start_worker("--kill-at", "after-commit", "--threads", "1").wait()
    kept, refused = finished(database, 17, "kept from before"), finished(database, 18, None)
    # As after the restore of a backup: its job is not there.
    lost = replace(kept, summary=replace(kept.summary, job_id=1_000_000))
    Spool(settings.data_dir / "spool").keep([lost, refused, kept])
    worker = start_worker()

    assert wait_until_finished(database, report.submission_id).done == len(IDS)
    assert list(summaries_by_id(database, report.submission_id).values()).count("kept from before") == 1
    log = worker.log.read_text()
    assert "1 summaries are of conversations that this ledger does not have: dropped" in log
    assert "is damaged or of another version" in log
    assert not spooled(settings)
    assert len(list((settings.data_dir / "spool").glob("*.refused"))) == 1
