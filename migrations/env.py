"""Alembic's entry: runs the migrations on the connection that `aftercall db upgrade` hands over, in its transaction."""

from alembic import context
from sqlalchemy import Connection

from aftercall.database import connect
from aftercall.models import Base
from aftercall.settings import load_settings


def run_migrations(connection: Connection) -> None:
    """Run on a connection that is in a transaction; on SQLite too, tables are then changed all or not at all."""
    context.configure(
        connection=connection, target_metadata=Base.metadata, render_as_batch=True, transactional_ddl=True
    )
    with context.begin_transaction():
        context.run_migrations()


if (given := context.config.attributes.get("connection")) is not None:
    run_migrations(given)
else:
    # Under the plain `alembic` command, on the database of the settings.
    with connect(load_settings().ledger_url).begin() as own:
        run_migrations(own)
