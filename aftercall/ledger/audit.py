"""The audit: who submitted, exported, erased, purged, promoted and paused what, and when. Rows are only ever added."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, Engine, insert, select
from sqlalchemy.exc import DBAPIError

from aftercall.database import now, reading
from aftercall.models import Audit
from aftercall.os_user import current_user


class Action(StrEnum):
    """What was done."""

    SUBMIT = "submit"
    EXPORT = "export"
    ERASE = "erase"
    PURGE = "purge"
    PROMOTE = "promote"
    ROLLBACK = "rollback"
    CANARY = "canary"
    CANARY_WORSE = "canary worse"
    CANARY_STOPPED = "canary stopped"
    CANARY_PROMOTED = "canary promoted"
    SHADOW = "shadow"
    SHADOW_STOPPED = "shadow stopped"
    SHADOW_PROMOTED = "shadow promoted"
    PAUSE = "pause"
    RESUME = "resume"


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the audit. Holds no customer's words and no caller's id."""

    action: Action
    #: None where it concerns no submission, or several.
    submission_id: int | None
    #: Counts, digests and the like, by name.
    details: Mapping[str, int | str]


@dataclass(frozen=True, slots=True)
class Recorded:
    """An entry as it was recorded."""

    entry: Entry
    user: str
    #: Seconds since the epoch, by the database's clock.
    at: float


def record(engine: Engine, entry: Entry) -> None:
    """Add a row, by the user of this process."""
    with engine.begin() as connection:
        record_with(connection, entry)


def try_to_record(engine: Engine, entry: Entry) -> bool:
    """Add a row if the ledger can be written to, for what works on one that can only be read; whether it did."""
    try:
        record(engine, entry)
    except DBAPIError:
        return False
    return True


def record_with(connection: Connection, entry: Entry) -> None:
    """Add a row in the transaction of what it records."""
    connection.execute(
        insert(Audit).values(
            action=entry.action,
            os_user=current_user()[:128],
            submission_id=entry.submission_id,
            details=json.dumps(dict(entry.details), sort_keys=True),
            created_at=now(),
        )
    )


def entries(engine: Engine, max_rows: int) -> list[Recorded]:
    """The newest rows, the newest first."""
    query = select(Audit).order_by(Audit.id.desc()).limit(max_rows)
    with reading(engine) as connection:
        return [
            Recorded(Entry(Action(row.action), row.submission_id, json.loads(row.details)), row.os_user, row.created_at)
            for row in connection.execute(query)
        ]
