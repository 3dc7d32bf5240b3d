"""Alembic's entry: runs the migrations on the connection that `aftercall db upgrade` hands over."""

from alembic import context

from aftercall.database import connect
from aftercall.models import Base
from aftercall.settings import load_settings


def run_migrations() -> None:
    """Run on the caller's engine, or, under the plain `alembic` command, on the one of the settings."""
    engine = context.config.attributes.get("engine") or connect(load_settings().ledger_url)
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
        with context.begin_transaction():
            context.run_migrations()


run_migrations()
