"""The database away or busy: finished summaries are kept and written when it is back, not generated again."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from aftercall import schema
from aftercall.database import connect
from aftercall.ledger import account
from aftercall.settings import Settings
from tests.fixtures.breakable import BreakablePostgres
from tests.fixtures.workers import (
    ScriptedWorker,
    WorkerStarter,
    expected_summaries,
    submit_file,
    summaries_by_id,
    wait_until,
    wait_until_finished,
    write_source,
)

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
        time.sleep(2.0)
        assert account.account(database, submission_id).done == 0

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
