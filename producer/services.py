"""What the commands share: settings, database and broker, opened together, and questions at the terminal."""

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

import click
from sqlalchemy import Engine

from aftercall import schema
from aftercall.broker import Broker
from aftercall.errors import BrokerError, NotFoundError
from aftercall.settings import Settings, load_settings
from aftercall.sweep import Sweeper
from producer import advice


@dataclass(frozen=True, slots=True)
class Services:
    """What a command works with."""

    settings: Settings
    database: Engine
    broker: Broker
    sweeper: Sweeper


@contextmanager
def open_services(*, may_create: bool = True) -> Iterator[Services]:
    """Read the settings and connect to the database, whose schema is checked. Redis is connected to on first use.

    Args:
        may_create: create the embedded database if it doesn't exist. Without it, a missing one counts as empty.

    Raises SettingsError or DatabaseError. A database that goes away later raises DatabaseError too.
    """
    settings = load_settings()
    with schema.open_ledger(settings, may_create=may_create) as database, closing(Broker(settings)) as broker:
        yield Services(settings, database, broker, Sweeper(database, broker, settings))


def refuse_missing(settings: Settings, outcome: str) -> None:
    """Raise NotFoundError if there is no ledger: a cron job in another folder would never change anything.

    Args:
        outcome: what does not happen.
    """
    if schema.is_ledger_missing(settings):
        raise NotFoundError(
            f"there is no ledger at {settings.ledger_url}, so {outcome}. Run this in the folder of the other commands, "
            "or set AFTERCALL_DATA_DIR to an absolute path."
        )


def reaches_redis(services: Services) -> bool:
    """Whether waiting jobs can be sent now. If no Redis is configured, say who will run them instead.

    Raises BrokerError if the configured Redis can't be reached.
    """
    try:
        services.broker.check()
    except BrokerError:
        if not advice.is_one_machine(services.settings):
            raise
        click.echo(f"no Redis is set up here: {advice.RUN} does what waits")
        return False
    return True


def confirm(question: str, refusal: str) -> bool:
    """Ask a yes-or-no question. Without a terminal, fail with `refusal`: what will not happen."""
    if sys.stdin is None or not sys.stdin.isatty():
        raise click.UsageError(f"{refusal}: there is no terminal to ask on. Add --yes.")
    return click.confirm(question)
