"""`aftercall doctor`: checks every part in turn. Changes nothing unless it is asked to repair.

A part that is down is a finding. The other parts are checked all the same.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from aftercall import schema
from aftercall.broker import Broker
from aftercall.database import connect, explain
from aftercall.errors import AftercallError, DatabaseError
from aftercall.settings import Settings
from producer.doctor import ledger as ledger_part
from producer.doctor import machine, queue
from producer.doctor.finding import Finding, error, ok, warning


def examine(settings: Settings, *, is_thorough: bool = False, is_repairing: bool = False) -> Iterator[Finding]:
    """Every finding, as soon as it is made.

    Args:
        is_thorough: read every row of a large ledger, too.
        is_repairing: before that, correct which submission each job is counted in.
    """
    with _ledger(settings) as (ledger, opening):
        yield opening
        if ledger is not None:
            if is_repairing:
                yield from _guarded("ledger", ledger, _repair(ledger))
            findings = ledger_part.findings(ledger, is_thorough=is_thorough or is_repairing)
            yield from _guarded("ledger", ledger, findings)
        yield from _guarded("redis", ledger, _redis_findings(settings, ledger))
        yield from _guarded("adapter", ledger, machine.adapter_findings(settings, ledger))
    yield from machine.findings(settings)


@contextmanager
def _ledger(settings: Settings) -> Iterator[tuple[Engine | None, Finding]]:
    """The ledger's engine if it can be used, and the finding about it."""
    if schema.is_ledger_missing(settings):
        sentence = f"there is no ledger yet in {settings.data_dir}; `aftercall submit` creates it."
        yield None, warning("database", sentence)
        return
    engine = None
    try:
        engine = connect(settings.ledger_url)
        schema.check(engine)
        finding = ok("database", f"{ledger_part.describe_server(engine)}, schema {schema.head()}.")
    except DatabaseError as problem:
        yield None, error("database", str(problem))
    else:
        yield engine, finding
    finally:
        if engine is not None:
            engine.dispose()


def _repair(ledger: Engine) -> Iterator[Finding]:
    yield ledger_part.repair(ledger)


def _redis_findings(settings: Settings, ledger: Engine | None) -> Iterator[Finding]:
    with closing(Broker(settings)) as broker:
        yield from queue.findings(settings, broker, ledger)


def _guarded(subject: str, ledger: Engine | None, findings: Iterator[Finding]) -> Iterator[Finding]:
    """The findings, until a part becomes unavailable. That is a finding too."""
    try:
        yield from findings
    except AftercallError as problem:
        yield error(subject, str(problem))
    except DBAPIError as problem:
        # No other database is queried, so it was the ledger.
        if ledger is None:
            raise
        yield error("database", str(explain(ledger, problem)))
