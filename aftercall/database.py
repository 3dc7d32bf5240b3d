"""Engine of the ledger's database and the two things that differ between SQLite and PostgreSQL: set-up and clock.

Knows no job: the statements are in the package `ledger`.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, Float, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from aftercall.errors import DatabaseError

#: How long a writer waits for SQLite's single write lock.
SQLITE_BUSY_TIMEOUT_MS = 30_000

#: Connections to PostgreSQL that a process keeps. A worker's 64 threads share them: a statement takes milliseconds, a
#: chunk takes seconds. Each costs the server a process, so none is opened for a burst and closed again. Four workers
#: and a submit stay below the 100 that PostgreSQL allows.
MAX_CONNECTIONS = 16


class now(FunctionElement[float]):
    """Seconds since the epoch by the database's clock, so that leases do not depend on the workers' clocks."""

    type = Float(53)
    inherit_cache = True


@compiles(now, "sqlite")
def _sqlite_now(element: now, compiler: Any, **kwargs: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(now, "postgresql")
def _postgresql_now(element: now, compiler: Any, **kwargs: Any) -> str:
    return "extract(epoch FROM clock_timestamp())::float8"


def connect(url: str) -> Engine:
    """An engine for `url`; for SQLite its folder is created.

    Raises DatabaseError if the URL cannot be read or names another kind of database.
    """
    try:
        parsed = make_url(url)
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        dialect = parsed.get_backend_name()
        if dialect not in ("sqlite", "postgresql"):
            raise NoSuchModuleError(dialect)
        if dialect == "sqlite" and parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(parsed, pool_pre_ping=True, **_pool_options(parsed))
    except (ArgumentError, NoSuchModuleError, ValueError):
        raise DatabaseError(
            f"cannot use the database URL {_show_unusable(url)}: expected sqlite:///PATH or "
            "postgresql://USER:PASSWORD@HOST/NAME. Correct AFTERCALL_DATABASE_URL."
        ) from None
    if dialect == "sqlite":
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_immediate)
    return engine


def _pool_options(url: URL) -> dict[str, Any]:
    # Whoever waits for a connection waits for the database, and that has no time limit either.
    if url.get_backend_name() == "postgresql":
        return {"pool_size": MAX_CONNECTIONS, "max_overflow": 0, "pool_timeout": None}
    # A database in memory has one connection and no pool.
    return {"pool_timeout": None} if url.database else {}


def show_url(url: URL) -> str:
    """The URL as people may see it: without its password, which may also stand behind the question mark."""
    secrets = {name: "***" for name in url.query if "password" in name}
    return url.update_query_dict(secrets).render_as_string(hide_password=True)


def _show_unusable(url: str) -> str:
    try:
        return show_url(make_url(url))
    except (ArgumentError, ValueError):
        # Not a URL at all, so no telling where in it a password stands.
        return "(unreadable)"


def _set_up_sqlite(connection: sqlite3.Connection, record: object) -> None:
    # The driver's own BEGIN is deferred and fails, rather than waits, when two writers meet: `_begin_immediate`
    # replaces it.
    connection.isolation_level = None
    for pragma in (
        "journal_mode=WAL",
        "synchronous=NORMAL",
        f"busy_timeout={SQLITE_BUSY_TIMEOUT_MS}",
        "foreign_keys=ON",
        "cache_size=-65536",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_immediate(connection: Connection) -> None:
    is_reader = connection.get_execution_options().get("is_reader", False)
    connection.exec_driver_sql("BEGIN" if is_reader else "BEGIN IMMEDIATE")


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection for queries; on SQLite it takes no write lock, so it never waits for a writer."""
    with engine.connect().execution_options(is_reader=True) as connection, connection.begin():
        yield connection


def explain(engine: Engine, error: DBAPIError) -> DatabaseError:
    """The sentence for a database that cannot be worked with: which one, what it said, what to do."""
    url = show_url(engine.url)
    said = str(error.orig).strip().splitlines()[0]
    return DatabaseError(
        f"the database {url} does not answer: {said}. Check that it runs and that AFTERCALL_DATABASE_URL is right; "
        "what was committed is safe, run the same command again."
    )
