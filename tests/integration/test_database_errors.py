"""Which errors of a database pass by themselves: only those are waited for. On real databases."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, select, text
from sqlalchemy.exc import DBAPIError

from aftercall.database import connect, explain, reading
from aftercall.database_errors import describe, is_transient
from aftercall.ledger import account, work
from aftercall.models import Job
from aftercall.settings import Settings
from tests.fixtures.breakable import limit_files
from tests.fixtures.workers import submit_file, write_source
from tests.unit.test_spool import record
from worker.jobs.recorder import Recorder
from worker.jobs.spool import Finished


def statement(sql: str) -> Callable[[Engine], object]:
    """Executes a statement in a transaction."""

    def execute(engine: Engine) -> None:
        with engine.begin() as connection:
            connection.execute(text(sql))

    return execute


def cut_own_connection(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        connection.execute(text("SELECT 1"))


def meet_a_lock(engine: Engine) -> None:
    with engine.begin() as holder:
        holder.execute(text("UPDATE submission SET name = 'mine'"))
        with engine.begin() as connection:
            if engine.dialect.name == "sqlite":
                raise AssertionError("the second writer was let in")
            connection.execute(text("SET LOCAL lock_timeout = 50"))
            connection.execute(text("LOCK TABLE submission"))


#: By what happens: how it is made to happen.
PERMANENT: dict[str, Callable[[Engine], object]] = {
    "a missing table": statement("SELECT * FROM nothing_of_this_name"),
    "a missing column": statement("SELECT nothing FROM job"),
    "a null": statement(
        "INSERT INTO submission (id, name, source_digest, num_rejected, created_at) VALUES (1, NULL, 'd', 0, 0)"
    ),
    "too many parameters": lambda engine: reading_all(engine, range(1, 300_001)),
}

TRANSIENT_POSTGRESQL: dict[str, Callable[[Engine], object]] = {
    "a lost connection": cut_own_connection,
    "a lock": meet_a_lock,
    "a slow statement": statement("SET LOCAL statement_timeout = 50; SELECT pg_sleep(60)"),
    "a deadlock": statement("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '40P01'; END $$"),
    "a serialization failure": statement("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '40001'; END $$"),
    "a full disk": statement("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '53100'; END $$"),
    "a server that shuts down": statement("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '57P01'; END $$"),
}

PERMANENT_POSTGRESQL: dict[str, Callable[[Engine], object]] = {
    "an id out of range": statement("SELECT * FROM job WHERE id = CAST(9223372036854775808 AS bigint)"),
    "a missing right": statement("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '42501'; END $$"),
    "a NUL in a text": statement("SELECT chr(0)"),
}


def reading_all(engine: Engine, job_ids: range) -> None:
    with reading(engine) as connection:
        connection.execute(select(Job.id).where(Job.id.in_(list(job_ids))))


def error_of(engine: Engine, happening: Callable[[Engine], object]) -> DBAPIError:
    with pytest.raises(DBAPIError) as raised:
        happening(engine)
    return raised.value


@pytest.mark.parametrize("kind", PERMANENT)
def test_what_comes_back_every_time_is_not_waited_for(kind: str, database: Engine) -> None:
    assert not is_transient(error_of(database, PERMANENT[kind]))


@pytest.mark.parametrize("kind", TRANSIENT_POSTGRESQL)
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_what_passes_on_postgresql_is_waited_for(kind: str, database: Engine) -> None:
    assert is_transient(error_of(database, TRANSIENT_POSTGRESQL[kind]))


@pytest.mark.parametrize("kind", PERMANENT_POSTGRESQL)
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_what_postgresql_always_refuses_is_not_waited_for(kind: str, database: Engine) -> None:
    assert not is_transient(error_of(database, PERMANENT_POSTGRESQL[kind]))


def test_a_server_that_does_not_listen_is_waited_for() -> None:
    engine = connect("postgresql://ada@127.0.0.1:1/ledger")
    error = error_of(engine, statement("SELECT 1"))
    assert is_transient(error)
    assert "does not answer" in str(explain(engine, error))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_lock_of_sqlite_is_waited_for(database: Engine, database_url: str) -> None:
    impatient = create_engine(database_url, connect_args={"timeout": 0.05})
    with database.begin() as holder:
        holder.execute(text("UPDATE submission SET name = 'mine'"))
        error = error_of(impatient, statement("UPDATE submission SET name = 'other'"))
    assert is_transient(error)
    assert "Another process holds its lock" in str(explain(database, error))
    impatient.dispose()


def test_a_damaged_file_is_named_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "aftercall.db"
    path.write_bytes(b"not a database at all" * 100)
    engine = connect(f"sqlite:///{path}")
    error = error_of(engine, statement("SELECT 1"))
    assert not is_transient(error)
    assert "refuses: file is not a database. The file is not an SQLite database" in str(explain(engine, error))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_full_disk_is_named_with_what_to_do(database: Engine) -> None:
    with database.begin() as connection:
        connection.execute(text("UPDATE submission SET name = 'there is a log now'"))
        connection.exec_driver_sql("CREATE TABLE filler (content BLOB)")
    limit_files(os.getpid(), 1)
    try:
        error = error_of(database, statement("INSERT INTO filler VALUES (zeroblob(10000000))"))
    finally:
        limit_files(os.getpid(), None)
    assert is_transient(error)


def test_a_conversation_is_not_quoted_by_an_error(database: Engine) -> None:
    def insert(engine: Engine) -> None:
        with engine.begin() as connection:
            connection.execute(
                text("INSERT INTO submission (id, name, source_digest, num_rejected) VALUES (:id, :name, 'd', 0)"),
                {"id": 1, "name": "a customer's words"},
            )

    error = error_of(database, insert)
    assert "customer" not in describe(error)
    assert "customer" not in str(explain(database, error))


def test_a_recorder_does_not_wait_for_what_will_not_pass(tmp_path: Path, settings: Settings, database: Engine) -> None:
    recorder = Recorder(database, "worker", settings)
    num_calls = 0

    def refused() -> None:
        nonlocal num_calls
        num_calls += 1
        statement("SELECT * FROM nothing_of_this_name")(database)

    with pytest.raises(DBAPIError):
        recorder.retry_until_available(refused)
    assert num_calls == 1


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_summary_that_the_database_refuses_fails_alone(tmp_path: Path, settings: Settings, database: Engine) -> None:
    report = submit_file(write_source(tmp_path / "night.csv", ["C-1", "C-2"]), database, settings)
    work.claim(database, [1, 2], work.Lease("worker", 60.0), 1)
    # PostgreSQL stores no NUL.
    Recorder(database, "worker", settings.model_copy(update={"max_attempts": 1})).write([record(1, "a\0b"), record(2)])
    standing = account.account(database, report.submission_id)
    assert (standing.done, standing.failed) == (1, 1)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_summaries_that_a_database_refuses_stay_in_the_spool(
    tmp_path: Path, settings: Settings, database: Engine
) -> None:
    report = submit_file(write_source(tmp_path / "night.csv", ["C-1"]), database, settings)
    work.claim(database, [1], work.Lease("worker", 60.0), 3)
    with database.begin() as connection:
        connection.execute(text("ALTER TABLE summary RENAME TO elsewhere"))
    recorder = Recorder(database, "worker", settings)
    with reading(database) as connection:
        key = connection.execute(select(Job.job_key)).scalar_one()
    with pytest.raises(DBAPIError):
        recorder.write([Finished(key, record(1).summary)])
    assert len(list(settings.spool_dir.glob("*.json"))) == 1

    # Once the table is back, the next start writes them.
    with database.begin() as connection:
        connection.execute(text("ALTER TABLE elsewhere RENAME TO summary"))
    Recorder(database, "worker", settings).replay_spool()
    assert account.account(database, report.submission_id).done == 1
    assert list(settings.spool_dir.iterdir()) == []
