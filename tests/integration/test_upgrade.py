"""From a ledger of the first version to today's: with rows in every state, and never under a worker's feet."""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Engine, create_engine, inspect, make_url, text

from aftercall import schema
from aftercall.database import connect, reading
from aftercall.errors import SchemaError
from aftercall.ledger import account, failures, invariants, workers
from aftercall.ledger.account import Account
from aftercall.ledger.intake import make_job_key
from aftercall.models import Base
from aftercall.settings import Settings
from tests.fixtures.workers import WorkerStarter, cleaned_text, wait_until, wait_until_finished

STATES = ("queued", "running", "done", "failed", "cancelled", "insufficient_content")

#: The rows that the first version wrote, in its own columns.
ROWS = (
    "INSERT INTO submission (id, name, source_digest, num_rejected, created_at, read_at) "
    "VALUES (1, 'night.csv', 'digest', 2, 1.7e9, 1.7e9)",
    "INSERT INTO job (id, job_key, text, cleaner_version, state, attempts, sent_at, visible_at, lease_owner, "
    "error_code, error, created_at) "
    "VALUES (:id, :key, :text, '1', :state, 1, :sent_at, :visible_at, :owner, :code, :reason, 1.7e9)",
    "INSERT INTO submission_job (submission_id, external_id, position, job_id) VALUES (1, :name, :id, :id)",
    "INSERT INTO summary (job_id, adapter_digest, text, base_model, quantization, compute_dtype, prompt_version, "
    "cleaner_version, generation, num_prompt_tokens, num_completion_tokens, finish_reason, coverage, duration_s, "
    "worker, created_at) "
    "VALUES (3, '', 'Kept.', 'base', 'none', 'float32', '1', '1', '{}', 1, 1, 'stop', 1, 1, 'w', 1.7e9)",
    "INSERT INTO adapter (digest, base_model, state, path, manifest, created_at) "
    "VALUES ('abc', 'base', 'active', '/adapters/abc', '{}', 1.7e9)",
)


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'old.db'}"
        return
    server = make_url(request.getfixturevalue("postgres_url"))
    name = f"old_{uuid.uuid4().hex}"
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield server.set(database=name).render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.fixture
def first(empty_url: str) -> Iterator[Engine]:
    """A ledger of the first version, with a conversation in every state; nobody's lease is alive."""
    engine = connect(empty_url)
    with engine.begin() as connection:
        config = schema._config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        submission, job, place, summary, adapter = map(text, ROWS)
        connection.execute(submission)
        for number, state in enumerate(STATES, 1):
            values = _job(number, state)
            connection.execute(job, values)
            connection.execute(place, {"id": number, "name": values["name"]})
        connection.execute(summary)
        connection.execute(adapter)
    yield engine
    engine.dispose()


def _job(number: int, state: str) -> dict[str, object]:
    words = cleaned_text(f"C-{number}")
    return {
        "id": number, "name": f"C-{number}", "key": make_job_key(words, "1"), "text": words, "state": state,
        "sent_at": 1.7e9 if state == "queued" else None, "visible_at": 0.0,
        "owner": "old/host/1" if state == "running" else None,
        "code": "engine_error" if state == "failed" else None,
        "reason": "it stopped" if state == "failed" else None,
    }  # fmt: skip


def set_lease(engine: Engine, seconds: float) -> None:
    """The running job's lease ends so long from now."""
    epoch = "(julianday('now') - 2440587.5) * 86400.0"
    moment = epoch if engine.dialect.name == "sqlite" else "extract(epoch FROM clock_timestamp())"
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE job SET visible_at = {moment} + {seconds} WHERE state = 'running'"))


def test_every_row_of_the_first_version_is_kept_and_the_night_goes_on(
    first: Engine, settings: Settings, start_worker: WorkerStarter, empty_url: str
) -> None:
    schema.upgrade(first)

    schema.check(first)
    assert account.account(first, 1) == Account(
        submitted=6, waiting=1, running=1, done=1, failed=1, cancelled=1, insufficient=1
    )
    assert account.submission(first, 1).num_rejected == 2
    assert [(one.external_id, one.code, one.reason) for one in failures.each(first, 1)] == [
        ("C-4", "engine_error", "it stopped")
    ]
    assert invariants.violations(first) == []
    with reading(first) as connection:
        assert connection.execute(text("SELECT digest, state FROM adapter")).all() == [("abc", "active")]

    start_worker(settings=settings.model_copy(update={"database_url": empty_url}))
    assert wait_until_finished(first, 1) == Account(
        submitted=6, waiting=0, running=0, done=3, failed=1, cancelled=1, insufficient=1
    )
    kept = {result.external_id: result.summary.text for result in account.results(first, 1) if result.summary}
    assert kept["C-3"] == "Kept."


def test_an_upgrade_keeps_every_index_and_reference(first: Engine) -> None:
    before = {name: indexes_and_references(first, name) for name in inspect(first).get_table_names()}
    schema.upgrade(first)

    after = {name: indexes_and_references(first, name) for name in before}
    assert {name: rest for name, (_, *rest) in after.items()} == {name: rest for name, (_, *rest) in before.items()}
    for name, (indexes, *_) in before.items():
        assert {index[0] for index in indexes} <= {index[0] for index in after[name][0]}
    modelled = before.keys() & Base.metadata.tables.keys()
    assert {name: after[name][0] for name in modelled} == {name: modelled_indexes(name) for name in modelled}
    assert set(inspect(first).get_table_names()) == {*Base.metadata.tables, "alembic_version"}


def modelled_indexes(table: str) -> list[tuple[str, list[str], bool]]:
    """The indexes that a table has in the models."""
    indexes = Base.metadata.tables[table].indexes
    return sorted((str(index.name), [column.name for column in index.columns], index.unique) for index in indexes)


def indexes_and_references(engine: Engine, table: str) -> tuple[list[Any], list[object], list[object]]:
    """What a table has beside its columns."""
    found = inspect(engine)
    unique = {constraint["name"] for constraint in found.get_unique_constraints(table)}
    indexes = [
        (index["name"], index["column_names"], bool(index["unique"]))
        for index in found.get_indexes(table)
        if index["name"] not in unique
    ]
    return sorted(indexes), found.get_foreign_keys(table), found.get_unique_constraints(table)


def test_a_worker_of_the_first_version_that_holds_a_lease_is_not_pulled_the_ground_from(first: Engine) -> None:
    set_lease(first, 60.0)
    with pytest.raises(SchemaError, match=r"workers of the old schema are at work: old/host/1. Stop them"):
        schema.upgrade(first)
    assert schema.revision(first) == "0001"

    set_lease(first, -1.0)
    schema.upgrade(first)
    assert schema.revision(first) == schema.head()


def test_an_idle_worker_is_not_pulled_the_ground_from_either(database: Engine, start_worker: WorkerStarter) -> None:
    worker = start_worker()
    wait_until(lambda: [one.worker.adapter_digest for one in workers.alive(database)] == [""], "a worker at work")
    set_revision(database, "0001")
    try:
        with pytest.raises(SchemaError, match=r"at work: worker-1/.*Stop them \(SIGTERM"):
            schema.upgrade(database)
        worker.terminate()
        assert worker.wait() == 0
        with database.begin() as connection:
            assert workers.at_work(connection) == []
    finally:
        set_revision(database, schema.head())


def set_revision(database: Engine, revision: str) -> None:
    """Make the database say that it has this schema."""
    with database.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})


def test_two_upgrades_at_once_are_one(first: Engine, empty_url: str) -> None:
    engines = [connect(empty_url) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(schema.upgrade, engines)) == [None] * 4
    schema.check(first)
    for engine in engines:
        engine.dispose()


def test_a_migration_that_breaks_off_leaves_the_old_schema_whole(first: Engine) -> None:
    with first.begin() as connection:
        # The last table that the migration creates is there already.
        connection.execute(text("CREATE TABLE worker (name TEXT, seen_at FLOAT)"))
    with pytest.raises(SchemaError.__base__, match="worker"):  # type: ignore[arg-type]
        schema.upgrade(first)
    assert schema.revision(first) == "0001"
    with first.begin() as connection:
        connection.execute(text("DROP TABLE worker"))
    schema.upgrade(first)
    schema.check(first)


def test_a_ledger_of_a_newer_version_is_left_alone(database: Engine) -> None:
    set_revision(database, "9999")
    try:
        for attempt in (schema.check, schema.upgrade):
            with pytest.raises(SchemaError, match=r"has schema 9999; this version is older.*Install here"):
                attempt(database)
    finally:
        set_revision(database, schema.head())


def test_a_worker_on_a_database_without_tables_ends_with_what_to_do(
    empty_url: str, settings: Settings, start_worker: WorkerStarter
) -> None:
    worker = start_worker(settings=settings.model_copy(update={"database_url": empty_url}))
    assert worker.wait() == SchemaError.exit_code
    assert "has no tables yet. Run `aftercall db upgrade`." in worker.log.read_text()
