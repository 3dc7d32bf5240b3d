"""A proxy in front of PostgreSQL that accepts everything and forwards nothing: no worker waits for it without end."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, make_url, text
from sqlalchemy.exc import OperationalError

from aftercall import schema
from aftercall.database import connect
from aftercall.database_errors import is_transient
from aftercall.errors import DatabaseError
from aftercall.ledger import account
from aftercall.settings import Settings
from tests.fixtures.breakable import BreakablePostgres
from tests.fixtures.cutting_proxy import CuttingProxy
from tests.fixtures.workers import (
    WorkerStarter,
    expected_summaries,
    submit_file,
    summaries_by_id,
    wait_until,
    wait_until_finished,
    write_source,
)
from worker.process import EXIT_STUCK

IDS = [f"C-{number:03d}" for number in range(32)]


@pytest.fixture
def database_url(own_postgres: BreakablePostgres) -> str:
    """A server of the test's own."""
    return own_postgres.url


@pytest.fixture
def proxy(own_postgres: BreakablePostgres) -> Iterator[CuttingProxy]:
    """The proxy between the workers and the server."""
    proxy = CuttingProxy(own_postgres.socket)
    yield proxy
    proxy.close()


@pytest.fixture
def settings(settings: Settings, proxy: CuttingProxy) -> Settings:
    """Workers connect through the proxy."""
    query = {"sslmode": "disable", "connect_timeout": "2"}
    url = make_url(settings.database_url).set(host="127.0.0.1", port=proxy.port, query=query)
    return settings.model_copy(
        update={"database_url": url.render_as_string(hide_password=False), "database_timeout_s": 2.0, "lease_s": 3600.0}
    )


def test_a_worker_gives_up_on_an_answer_and_goes_on_when_answers_come(
    tmp_path: Path, settings: Settings, proxy: CuttingProxy, database: Engine, start_worker: WorkerStarter
) -> None:
    report = submit_file(write_source(tmp_path / "night.csv", IDS), database, settings)
    worker = start_worker("--threads", "2", is_held=True)
    wait_until(lambda: worker.num_calls.total() == len(IDS), "every chunk in the engine")
    proxy.swallow()
    worker.hold.unlink()
    wait_until(lambda: "database away" in worker.log.read_text(), "an end of waiting", 60.0)
    assert account.account(database, report.submission_id).done == 0
    proxy.resume()

    assert wait_until_finished(database, report.submission_id).done == len(IDS)
    assert summaries_by_id(database, report.submission_id) == expected_summaries(IDS)
    assert set(worker.num_calls.values()) == {1}


def test_the_engine_watchdog_ends_a_worker_whose_database_hangs_too(
    tmp_path: Path, settings: Settings, proxy: CuttingProxy, database: Engine, start_worker: WorkerStarter
) -> None:
    # The database's own time limit is far away: the watchdog must not depend on it.
    settings = settings.model_copy(update={"engine_timeout_s": 2.0, "database_timeout_s": 3600.0})
    submit_file(write_source(tmp_path / "night.csv", ["HANG"]), database, settings)
    worker = start_worker("--threads", "1", settings=settings)
    wait_until(lambda: worker.num_calls.total() == 1, "the engine hangs")
    proxy.swallow()
    assert worker.wait() == EXIT_STUCK
    assert "the engine was silent for 2 s" in worker.log.read_text()


def test_a_statement_ends_in_an_error_that_passes(settings: Settings, proxy: CuttingProxy) -> None:
    engine = connect(settings.database_url, answer_timeout_s=1.0)
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        proxy.swallow()
        began = time.monotonic()
        with pytest.raises(OperationalError, match="no answer within 1 s") as raised:
            connection.execute(text("SELECT 2"))
    assert time.monotonic() - began < 20.0
    assert is_transient(raised.value)
    engine.dispose()


def test_a_slow_statement_is_ended_by_the_server(settings: Settings, proxy: CuttingProxy) -> None:
    engine = connect(settings.database_url, answer_timeout_s=1.0)
    with engine.connect() as connection, pytest.raises(OperationalError, match="statement timeout") as raised:
        connection.execute(text("SELECT pg_sleep(60)"))
    assert is_transient(raised.value)
    engine.dispose()


def test_connecting_ends_with_a_message(settings: Settings, proxy: CuttingProxy) -> None:
    proxy.swallow()
    engine = connect(settings.database_url)
    began = time.monotonic()
    with pytest.raises(DatabaseError, match="does not answer"):
        schema.check(engine)
    assert time.monotonic() - began < 20.0
    engine.dispose()
