"""An upgrade of a ledger on which people built: views for their monitoring, a trigger, an index of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import Engine, text

from aftercall import schema
from aftercall.database import connect, reading
from aftercall.ledger import account, invariants, work
from tests.integration.test_ledger import claim_all, summary

#: As an aftercall of schema 0002 wrote it: one conversation is done, and a worker died over the other.
NIGHT = (
    "INSERT INTO submission VALUES (1, 'night.csv', 'digest', 0, 0, 0, NULL)",
    "INSERT INTO job VALUES (1, 'key of a', 'user: a', '1', 'done', 1, 0, 0, NULL, NULL, NULL, 0, 0)",
    "INSERT INTO job VALUES (2, 'key of b', 'user: b', '1', 'running', 1, 0, 0, 'worker', NULL, NULL, 0, NULL)",
    "INSERT INTO submission_job VALUES (1, 'a', 0, 1), (1, 'b', 1, 2)",
    "INSERT INTO summary VALUES (1, 1, '', 'A summary.', 'base', 'none', 'float32', '1', '1', '{}', 100, 20, 'stop', "
    "1.0, 0.5, 'worker', 0)",
)

OWN = (
    "CREATE VIEW by_state AS SELECT state, count(*) AS number FROM job GROUP BY state",
    "CREATE VIEW written AS SELECT p.external_id, s.text FROM submission_job p JOIN summary s ON s.job_id = p.job_id",
    "CREATE VIEW of_a_view AS SELECT number FROM by_state WHERE state = 'done'",
    "CREATE TABLE seen (job_id INTEGER)",
    "CREATE TRIGGER see AFTER UPDATE OF state ON job WHEN new.state = 'done' "
    "BEGIN INSERT INTO seen VALUES (new.id); END",
    "CREATE INDEX by_error ON job (error_code)",
)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Engine]:
    """One of schema 0002 with a night half done, and what people added to it."""
    engine = connect(f"sqlite:///{tmp_path / 'old.db'}")
    migrate(engine, "0002")
    with engine.begin() as connection:
        for statement in (*NIGHT, *OWN):
            connection.execute(text(statement))
    yield engine
    engine.dispose()


def migrate(engine: Engine, revision: str) -> None:
    with engine.begin() as connection:
        config = schema._config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def test_views_show_after_an_upgrade_what_they_showed_before_and_what_is_new(ledger: Engine) -> None:
    schema.upgrade(ledger)

    assert rows(ledger, "SELECT * FROM by_state ORDER BY 1") == [("done", 1), ("running", 1)]
    assert rows(ledger, "SELECT * FROM written") == [("a", "A summary.")]
    work.complete(ledger, [summary(claim_all(ledger)[0])])
    assert rows(ledger, "SELECT * FROM of_a_view") == [(2,)]
    assert account.account(ledger, 1).done == 2
    assert invariants.violations(ledger) == []


def test_triggers_and_indexes_go_on(ledger: Engine) -> None:
    schema.upgrade(ledger)

    [job_id] = claim_all(ledger)
    work.complete(ledger, [summary(job_id)])
    assert rows(ledger, "SELECT job_id FROM seen") == [(job_id,)]
    assert rows(ledger, "SELECT name FROM sqlite_master WHERE name = 'by_error'") == [("by_error",)]


def rows(engine: Engine, query: str) -> list[tuple[object, ...]]:
    with reading(engine) as connection:
        return [tuple(row) for row in connection.execute(text(query))]
