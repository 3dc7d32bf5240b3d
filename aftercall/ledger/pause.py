"""The pause: while it lasts, the sweep sends nothing and no claim finds a free job. What is in progress ends.

It is a row of the ledger, so every process sees it, and it outlasts all of them.
"""

from dataclasses import dataclass

from sqlalchemy import Engine, delete, select

from aftercall.database import now, reading
from aftercall.ledger import audit
from aftercall.ledger.statements import insert
from aftercall.models import Pause
from aftercall.os_user import current_user

_ID = 1


@dataclass(frozen=True, slots=True)
class PauseRecord:
    """Since when the ledger is paused, by whom and why."""

    #: Empty: none was given.
    reason: str
    user: str
    #: Seconds since the epoch.
    paused_at: float


def current(engine: Engine) -> PauseRecord | None:
    """The pause, if there is one."""
    with reading(engine) as connection:
        row = connection.execute(select(Pause.reason, Pause.os_user, Pause.paused_at)).one_or_none()
    return PauseRecord(*row) if row else None


def begin(engine: Engine, reason: str) -> bool:
    """Pause, and audit it. Whether this began it: a second pause changes nothing."""
    row = {"id": _ID, "reason": reason, "os_user": current_user()[:128], "paused_at": now()}
    with engine.begin() as connection:
        new = insert(connection, Pause).values(row).on_conflict_do_nothing().returning(Pause.id)
        has_begun = connection.execute(new).first() is not None
        if has_begun:
            audit.record_with(connection, audit.Entry(audit.Action.PAUSE, None, {"reason": reason} if reason else {}))
    return has_begun


def end(engine: Engine) -> bool:
    """End the pause, and audit it. Whether there was one."""
    with engine.begin() as connection:
        was_paused = connection.execute(delete(Pause)).rowcount > 0
        if was_paused:
            audit.record_with(connection, audit.Entry(audit.Action.RESUME, None, {}))
    return was_paused
