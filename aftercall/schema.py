"""The database's schema: bring it up to date, or say that it is not.

Knows no table: those are in `models.py`, their history in the package `migrations`.
"""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from aftercall.database import connect, explain, reading
from aftercall.errors import DatabaseError
from aftercall.settings import Settings


def upgrade(engine: Engine) -> None:
    """Run the migrations that the database does not have yet.

    Raises DatabaseError if it cannot be reached.
    """
    config = _config()
    config.attributes["engine"] = engine
    try:
        command.upgrade(config, "head")
    except DBAPIError as error:
        raise explain(engine, error) from None


def check(engine: Engine) -> None:
    """Make sure that the database answers and has the schema of this version.

    Raises DatabaseError if not.
    """
    head = ScriptDirectory.from_config(_config()).get_current_head()
    try:
        with reading(engine) as connection:
            revision = MigrationContext.configure(connection).get_current_revision()
    except DBAPIError as error:
        raise explain(engine, error) from None
    if revision != head:
        url = engine.url.render_as_string(hide_password=True)
        raise DatabaseError(
            f"the database {url} has schema {revision or 'none'}, this version works with {head}. "
            "Run `aftercall db upgrade`."
        )


@contextmanager
def open_ledger(settings: Settings, *, with_upgrade: bool = False) -> Iterator[Engine]:
    """The ledger's engine, its schema checked; the embedded one's is brought up to date first, as nobody else would.

    Raises DatabaseError if the database cannot be reached, now or while the block runs, or has another schema.
    """
    engine = connect(settings.ledger_url)
    try:
        if with_upgrade or settings.uses_embedded_database:
            upgrade(engine)
        check(engine)
        yield engine
    except DBAPIError as error:
        raise explain(engine, error) from None
    finally:
        engine.dispose()


def _config() -> Config:
    spec = importlib.util.find_spec("migrations")
    if spec is None or spec.origin is None:
        raise DatabaseError("the package `migrations` is not installed. Install aftercall again: pip install .")
    config = Config()
    config.set_main_option("script_location", str(Path(spec.origin).parent))
    return config
