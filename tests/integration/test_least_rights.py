"""The examples of restricted access to Redis and PostgreSQL: a night works with them, and more than that is refused."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import redis
from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.exc import ProgrammingError

from aftercall import schema
from aftercall.broker import Broker
from aftercall.database import connect
from aftercall.ledger import audit
from aftercall.settings import Settings
from aftercall.sweep import Sweeper
from producer.doctor.examine import examine
from producer.purge import delete, plan_named
from tests.fixtures.breakable import BreakablePostgres, BreakableRedis
from tests.fixtures.workers import WorkerStarter, submit_file, wait_until_finished, write_source

EXAMPLES = Path(__file__).parents[2] / "examples" / "access"
IDS = [f"C-{number:03d}" for number in range(16)]


@pytest.fixture
def database_url(own_postgres: BreakablePostgres) -> Iterator[str]:
    """A database set up by the example, with its tables made by the owner; the application's role."""
    admin = create_engine(own_postgres.url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text("CREATE DATABASE night"))
    admin.dispose()
    base = make_url(own_postgres.url).set(database="night")
    _run_script(base.render_as_string(hide_password=False), "roles.sql")
    owner = base.set(username="aftercall_owner").render_as_string(hide_password=False)
    engine = connect(owner)
    schema.upgrade(engine)
    engine.dispose()
    _run_script(owner, "after-upgrade.sql")
    yield base.set(username="aftercall_app").render_as_string(hide_password=False)


def _run_script(url: str, name: str) -> None:
    lines = (line for line in (EXAMPLES / name).read_text().splitlines() if not line.startswith("--"))
    engine = create_engine(url)
    with engine.begin() as connection:
        for statement in " ".join(lines).split(";"):
            if statement.strip():
                connection.execute(text(statement))
    engine.dispose()


@pytest.fixture
def restricted(own_redis: BreakableRedis) -> str:
    """A server with the users of the example; the URL of one."""
    for line in (EXAMPLES / "redis.acl").read_text().splitlines():
        _, user, *rules = line.split()
        own_redis.client.execute_command("ACL", "SETUSER", user, *rules)
    return own_redis.url.replace("//", "//aftercall:REDIS_PASSWORD@")


def test_a_night_works_with_two_roles_and_restricted_redis(
    restricted: str, settings: Settings, database: Engine, tmp_path: Path, start_worker: WorkerStarter
) -> None:
    own = settings.model_copy(update={"redis_url": restricted, "queue": "aftercall-night"})
    report = submit_file(write_source(tmp_path / "night.csv", IDS), database, own)
    worker = start_worker(settings=own)
    assert wait_until_finished(database, report.submission_id).done == len(IDS), worker.log.read_text()
    with closing(Broker(own)) as broker:
        Sweeper(database, broker, own).sweep()
    assert [each.sentence for each in examine(own) if each.level.name == "ERROR"] == []
    assert delete(database, plan_named(database, [report.submission_id]))
    assert "NOPERM" not in worker.log.read_text()


@pytest.mark.parametrize(
    "statement",
    ["DROP TABLE job", "ALTER TABLE job ADD COLUMN x int", "DELETE FROM audit", "UPDATE audit SET os_user = 'x'"],
)
def test_the_applications_role_changes_no_table_and_no_record(database: Engine, statement: str) -> None:
    audit.record(database, audit.Entry(audit.Action.EXPORT, None, {}))
    with pytest.raises(ProgrammingError, match=r"must be owner|permission denied"), database.begin() as connection:
        connection.execute(text(statement))
    assert len(audit.entries(database, 10)) == 1


@pytest.mark.parametrize(
    "command", [["FLUSHALL"], ["CONFIG", "SET", "maxmemory", "1"], ["GET", "somebody"], ["KEYS", "*"]]
)
def test_the_redis_user_reaches_the_queue_alone(restricted: str, command: list[str]) -> None:
    with closing(redis.Redis.from_url(restricted)) as client, pytest.raises(redis.exceptions.NoPermissionError):
        client.execute_command(*command)
