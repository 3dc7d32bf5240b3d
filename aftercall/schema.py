"""The database's schema: check it, or bring it up to date.

The tables are in `models.py`, their history is in the package `migrations`.
"""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, make_url, text
from sqlalchemy.exc import DBAPIError

from aftercall.database import connect, explain, reading, show_url
from aftercall.errors import DatabaseError, SchemaError
from aftercall.files import make_private_file, make_private_folder
from aftercall.ledger import workers
from aftercall.settings import Settings

#: Arbitrary. With it, two upgrades at the same time wait for each other.
_UPGRADE_LOCK = 7_205_759_403


@cache
def head() -> str:
    """The schema that this version works with."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


def revision(engine: Engine) -> str | None:
    """The schema that the database has; None if it holds no ledger.

    Raises DatabaseError if it can't be reached.
    """
    try:
        with reading(engine) as connection:
            return _revision(connection)
    except DBAPIError as error:
        raise explain(engine, error) from None


def upgrade(engine: Engine) -> None:
    """Run the migrations that the database does not have yet, in one transaction.

    Raises DatabaseError if it can't be reached, and SchemaError if a newer version has upgraded it or if workers are
    active, which only know the old schema.
    """
    current = revision(engine)
    if current == head():
        return
    _refuse_newer(engine, current)
    try:
        with engine.begin() as connection:
            _upgrade(connection)
    except DBAPIError as error:
        raise explain(engine, error) from None


def check(engine: Engine) -> None:
    """Make sure that the database answers and has the schema of this version.

    Raises DatabaseError if it can't be reached, and SchemaError if it has another schema.
    """
    current = revision(engine)
    if current == head():
        return
    _refuse_newer(engine, current)
    has = f"schema {current}, this version works with {head()}" if current else "no tables yet"
    raise SchemaError(f"the database {show_url(engine.url)} has {has}. Run `aftercall db upgrade`.")


def connect_ledger(settings: Settings, *, answer_timeout_s: float | None = None) -> Engine:
    """The ledger's engine. The embedded database and its folder are created for this user alone."""
    if settings.uses_embedded_database and is_ledger_missing(settings):
        make_private_folder(settings.data_dir)
        # SQLite gives the files of its log the rights of the database.
        make_private_file(settings.database_path)
    return connect(settings.ledger_url, answer_timeout_s=answer_timeout_s)


@contextmanager
def open_ledger(
    settings: Settings,
    *,
    with_upgrade: bool = False,
    may_create: bool = True,
    answer_timeout_s: float | None = None,
) -> Iterator[Engine]:
    """The ledger's engine, with its schema checked. The embedded database is upgraded first.

    Args:
        with_upgrade: upgrade another database as well.
        may_create: create the embedded database if it doesn't exist. Without it, a missing one is replaced by an empty
            one in memory.
        answer_timeout_s: see `connect`.

    Raises DatabaseError if the database can't be reached, now or while the block runs, or has another schema.
    """
    is_absent = settings.uses_embedded_database and is_ledger_missing(settings) and not may_create
    engine = connect("sqlite://") if is_absent else connect_ledger(settings, answer_timeout_s=answer_timeout_s)
    try:
        if with_upgrade or settings.uses_embedded_database:
            upgrade(engine)
        check(engine)
        yield engine
    except DBAPIError as error:
        raise explain(engine, error) from None
    finally:
        engine.dispose()


def is_ledger_missing(settings: Settings) -> bool:
    """Whether the ledger is an SQLite file that does not exist. Opening it would create it."""
    if not settings.ledger_url.startswith("sqlite:///"):
        return False
    return not Path(make_url(settings.ledger_url).database or "").exists()


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _UPGRADE_LOCK})
    current = _revision(connection)
    if current == head():
        # Another process was faster.
        return
    if at_work := workers.at_work(connection):
        raise SchemaError(
            f"the database has schema {current}, this version works with {head()}, and workers of the old schema are "
            f"at work: {', '.join(at_work)}. Stop them (SIGTERM: they give back what they hold), then run the same "
            f"command again. A killed worker counts for another {workers.LIVE_S:g} seconds, or until its leases expire."
        )
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _refuse_newer(engine: Engine, current: str | None) -> None:
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if current is not None and current not in known:
        raise SchemaError(
            f"the database {show_url(engine.url)} has schema {current}; this version is older and works with {head()}. "
            "Install here the version of aftercall that upgraded the database."
        )


def _config() -> Config:
    spec = importlib.util.find_spec("migrations")
    if spec is None or spec.origin is None:
        raise DatabaseError("the package `migrations` is not installed. Install aftercall again: pip install .")
    config = Config()
    config.set_main_option("script_location", str(Path(spec.origin).parent))
    return config
