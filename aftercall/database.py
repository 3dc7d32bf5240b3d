"""The engine of the ledger's database, what differs between SQLite and PostgreSQL, and what their errors mean.

The statements are in the package `ledger`.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, Float, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from aftercall.database_errors import advise, describe, is_transient
from aftercall.errors import DatabaseError
from aftercall.masking import mask_password

#: How long a writer waits for SQLite's single write lock.
SQLITE_BUSY_TIMEOUT_MS = 30_000

#: SQLite's page cache for each connection. What is only streamed through profits from a small one just as well.
CACHE_KIB = 65_536
STREAMING_CACHE_KIB = 8_192

#: Connections to PostgreSQL that a process keeps. A worker's 64 threads share them: a statement takes milliseconds, a
#: chunk takes seconds. Each connection costs the server a process, so none is opened for a burst and closed again. Four
#: workers and a submit stay below the 100 that PostgreSQL allows.
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


def connect(url: str, *, answer_timeout_s: float | None = None) -> Engine:
    """An engine for `url`. For SQLite the file's folder is created, and a file that can't be written is opened to read.

    Args:
        answer_timeout_s: on PostgreSQL, how long to wait for the answer to one statement; None: without limit.

    Raises DatabaseError if the URL is invalid or names another kind of database.
    """
    try:
        parsed = make_url(url)
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        dialect = parsed.get_backend_name()
        # The first @ ends the password. If it has one itself, its rest is taken for the host, which errors name.
        is_cut = dialect == "postgresql" and url.count("@") > 1
        if dialect not in ("sqlite", "postgresql") or is_cut:
            raise NoSuchModuleError(dialect)
        if dialect == "postgresql":
            return _connect_postgresql(parsed, answer_timeout_s)
        return _connect_sqlite(parsed)
    except (ArgumentError, NoSuchModuleError, ValueError):
        raise DatabaseError(
            f"cannot use the database URL {mask_password(url)}: expected sqlite:///PATH or "
            "postgresql://USER:PASSWORD@HOST/NAME, with / ? # @ in the password written as %2F %3F %23 %40. Correct "
            "AFTERCALL_DATABASE_URL."
        ) from None


def _connect_postgresql(url: URL, answer_timeout_s: float | None) -> Engine:
    from aftercall.postgres import TCP_PARAMETERS, connect_bounded

    engine = create_engine(
        url,
        pool_pre_ping=True,
        # An error's text would quote the customers' words that the statement was given.
        hide_parameters=True,
        pool_size=MAX_CONNECTIONS,
        max_overflow=0,
        # A thread that waits for a connection waits for the database. Every statement has its own time limit.
        pool_timeout=None,
        # What the user wrote into the URL counts.
        connect_args={name: value for name, value in TCP_PARAMETERS.items() if name not in url.query},
    )
    if answer_timeout_s is not None:

        @event.listens_for(engine, "do_connect")
        def connect_bounded_by_timeout(dialect: Any, record: Any, args: Any, parameters: Any) -> Any:
            return connect_bounded(answer_timeout_s, *args, **parameters)

    return engine


def _connect_sqlite(url: URL) -> Engine:
    options: dict[str, Any] = {"pool_pre_ping": True, "hide_parameters": True}
    # A database in memory has one connection and no pool.
    if url.database:
        options["pool_timeout"] = None
        path = Path(url.database)
        path.parent.mkdir(parents=True, exist_ok=True)
        if _is_read_only(path):
            engine = create_engine(url, creator=partial(_open_read_only, path), **options)
            event.listen(engine, "begin", _begin_deferred)
            return engine
    engine = create_engine(url, **options)
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_immediate)
    return engine


def _is_read_only(path: Path) -> bool:
    """Whether the file exists and can only be read. Its log lies next to it, so the folder must be writable too."""
    return path.exists() and not all(os.access(each, os.W_OK, effective_ids=True) for each in (path, path.parent))


def _open_read_only(path: Path) -> sqlite3.Connection:
    log = path.with_name(f"{path.name}-wal")
    has_log = log.exists() and log.stat().st_size > 0
    # Without a log the file holds everything. "immutable" then spares SQLite its lock files, which it can't create.
    mode = "mode=ro" if has_log else "mode=ro&immutable=1"
    return sqlite3.connect(f"file:{quote(str(path))}?{mode}", uri=True, check_same_thread=False, isolation_level=None)


def show_url(url: URL) -> str:
    """The URL as people may see it: without its password."""
    shown = url.render_as_string(hide_password=False)
    return shown if url.get_backend_name() == "sqlite" else mask_password(shown)


def _set_up_sqlite(connection: sqlite3.Connection, record: object) -> None:
    # The driver's own BEGIN is deferred. When two writers meet, it fails instead of waiting; `_begin_immediate`
    # replaces it.
    connection.isolation_level = None
    for pragma in (
        "journal_mode=WAL",
        "synchronous=NORMAL",
        f"busy_timeout={SQLITE_BUSY_TIMEOUT_MS}",
        "foreign_keys=ON",
        f"cache_size=-{CACHE_KIB}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_immediate(connection: Connection) -> None:
    is_reader = connection.get_execution_options().get("is_reader", False)
    connection.exec_driver_sql("BEGIN" if is_reader else "BEGIN IMMEDIATE")


def _begin_deferred(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection for queries, all of which see the ledger as it is at the first one.

    Several queries count what is open, and a job that changes its state between two of them must not be missed by both.
    On SQLite it takes no write lock, so it never waits for a writer.
    """
    options: dict[str, Any] = {"is_reader": True}
    if engine.dialect.name == "postgresql":
        options["isolation_level"] = "REPEATABLE READ"
    with engine.connect().execution_options(**options) as connection, connection.begin():
        yield connection


@contextmanager
def streaming(engine: Engine) -> Iterator[Connection]:
    """A connection for queries whose rows are read one after the other, however many there are, in little memory."""
    with reading(engine) as connection:
        is_sqlite = engine.dialect.name == "sqlite"
        if is_sqlite:
            connection.exec_driver_sql(f"PRAGMA cache_size=-{STREAMING_CACHE_KIB}")
        try:
            yield connection.execution_options(yield_per=1000)
        finally:
            if is_sqlite:
                connection.exec_driver_sql(f"PRAGMA cache_size=-{CACHE_KIB}")


def explain(engine: Engine, error: DBAPIError) -> DatabaseError:
    """The message for a database error: which database, what it said, and what to do."""
    happened = "does not answer" if is_transient(error) else "refuses"
    return DatabaseError(f"the database {show_url(engine.url)} {happened}: {describe(error)}. {advise(error)}")


def empty_log(engine: Engine) -> bool:
    """Move everything out of SQLite's write-ahead log, deleted rows too; whether nothing is left there.

    False while another process reads from the log; the last one that closes the database empties it. PostgreSQL has
    nothing to do here: it keeps deleted rows until it vacuums the table.
    """
    if engine.dialect.name != "sqlite":
        return True
    # The driver's own connection: the engine's would begin a transaction, in which no checkpoint is possible.
    connection = engine.raw_connection()
    try:
        busy, _, _ = connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        connection.close()
    return not busy
