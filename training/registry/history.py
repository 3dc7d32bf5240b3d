"""The history of the active adapter: an append-only table with a row for each promotion and rollback.

Each row is written in the transaction that makes the change.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields

from sqlalchemy import Connection, RowMapping, insert, select

from aftercall.database import now
from aftercall.ledger import audit
from aftercall.ledger.audit import Action
from aftercall.models import Promotion


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change of the active adapter."""

    base_model: str
    #: Of those in the audit, one that changes what is served or on trial.
    action: Action
    #: None: no registered adapter is active any more, so the shipped one is served.
    adapter_digest: str | None
    #: What was served before; None: the base model alone.
    replaced_digest: str | None
    is_forced: bool = False
    #: The gate's report as JSON; None if nothing was compared.
    report: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A change and when it was made."""

    change: Change
    at: float


def write(connection: Connection, change: Change) -> None:
    """Append a change, timed by the database's clock."""
    connection.execute(insert(Promotion).values(asdict(change) | {"created_at": now()}))
    details = {"base model": change.base_model, "adapter": change.adapter_digest or "none"}
    audit.record_with(connection, audit.Entry(audit.Action(change.action.value), None, details))


def read(connection: Connection, base_model: str | None = None) -> list[Entry]:
    """The changes of one base model, or of all, oldest first."""
    columns = [getattr(Promotion, field.name) for field in fields(Change)]
    statement = select(*columns, Promotion.created_at).order_by(Promotion.id)
    if base_model is not None:
        statement = statement.where(Promotion.base_model == base_model)
    return [Entry(_to_change(row._mapping), row.created_at) for row in connection.execute(statement)]


def last_standing(changes: Sequence[Change]) -> Change | None:
    """The promotion that the next rollback undoes; None if there is none left.

    Each earlier rollback has undone one promotion, so a second rollback goes further back instead of redoing.
    """
    standing: list[Change] = []
    for change in changes:
        if change.action is Action.PROMOTE:
            standing.append(change)
        elif change.action is Action.ROLLBACK and standing:
            standing.pop()
    return standing[-1] if standing else None


def _to_change(row: RowMapping) -> Change:
    values = {field.name: row[field.name] for field in fields(Change)}
    return Change(**values | {"action": Action(row["action"])})
