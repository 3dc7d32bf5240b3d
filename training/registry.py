"""The registry of adapters: a row each in SQL, candidate, active or retired; at most one is active for a base model.

Workers read the active one; a promotion is one transaction. Knows rows and folders. It knows no model and no gate.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, case, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from aftercall.database import now, reading
from aftercall.errors import AdapterError
from aftercall.models import Adapter
from aftercall.prompt import PROMPT_VERSION
from worker.adapter import MANIFEST_FILE, AdapterManifest, check_adapter, read_manifest


class AdapterState(StrEnum):
    """Where an adapter stands."""

    CANDIDATE = "candidate"
    ACTIVE = "active"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class Entry:
    """An adapter as the registry knows it."""

    digest: str
    base_model: str
    state: AdapterState
    path: Path
    created_at: float
    #: When it last became active; None: never.
    promoted_at: float | None


def register(database: Engine, folder: Path) -> Entry:
    """Enter the adapter in `folder` as a candidate; one that is known already stays as it is.

    Raises AdapterError if the folder is not whole.
    """
    manifest = check_folder(folder)
    with database.begin() as connection:
        insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        connection.execute(
            insert(Adapter)
            .values(
                digest=manifest.digest,
                base_model=manifest.base_model,
                state=AdapterState.CANDIDATE,
                path=str(folder.resolve()),
                manifest=(folder / MANIFEST_FILE).read_text(),
                created_at=now(),
            )
            .on_conflict_do_nothing()
        )
    return find(database, manifest.digest)


def entries(database: Engine) -> list[Entry]:
    """All adapters, the newest first."""
    return _read(database, _select().order_by(Adapter.created_at.desc(), Adapter.digest))


def find(database: Engine, digest: str) -> Entry:
    """The one adapter whose digest begins so; AdapterError if there is none, or more than one."""
    found = _read(database, _select().where(Adapter.digest.startswith(digest, autoescape=True)))
    if len(found) == 1:
        return found[0]
    known = "more than one begins so: give more digits" if found else "`aftercall adapters list` shows all"
    raise AdapterError(f"no single adapter {digest!r} is registered; {known}")


def active(database: Engine, base_model: str) -> Entry | None:
    """The adapter that workers serve for a base model."""
    found = _read(database, _select().where(Adapter.base_model == base_model, Adapter.state == AdapterState.ACTIVE))
    return found[0] if found else None


def promote(database: Engine, digest: str) -> None:
    """Make an adapter the active one of its base model, and retire the one that was: both or neither.

    Raises AdapterError if its folder is no longer whole, or if another promotion came in between.
    """
    entry = find(database, digest)
    check_folder(entry.path)
    try:
        with database.begin() as connection:
            latest = connection.scalar(
                select(func.max(Adapter.promoted_at)).where(Adapter.base_model == entry.base_model)
            )
            connection.execute(_change_active(entry.base_model).values(state=AdapterState.RETIRED))
            connection.execute(
                update(Adapter)
                .where(Adapter.digest == entry.digest)
                .values(state=AdapterState.ACTIVE, promoted_at=_later_than(latest))
            )
    except IntegrityError as error:
        raise AdapterError(
            f"another adapter of {entry.base_model} was promoted at this moment; look at `aftercall adapters list` "
            "and promote again"
        ) from error


def rollback(database: Engine, base_model: str) -> tuple[Entry, Entry | None]:
    """Retire the active adapter and bring back the one that was active before it.

    Returns both; the second is None where none was, and workers fall back to what ships. Raises AdapterError if
    nothing is active.
    """
    current = active(database, base_model)
    if current is None:
        raise AdapterError(f"no adapter of {base_model} is active, so there is nothing to roll back")
    earlier = (
        _select()
        .where(
            Adapter.base_model == base_model,
            Adapter.state == AdapterState.RETIRED,
            Adapter.promoted_at < current.promoted_at,
        )
        .order_by(Adapter.promoted_at.desc())
        .limit(1)
    )
    found = _read(database, earlier)
    with database.begin() as connection:
        connection.execute(_change_active(base_model).values(state=AdapterState.RETIRED))
        # Its promotion keeps its old time: a second rollback goes further back, not to and fro.
        for entry in found:
            check_folder(entry.path)
            connection.execute(update(Adapter).where(Adapter.digest == entry.digest).values(state=AdapterState.ACTIVE))
    return current, (found[0] if found else None)


def check_folder(folder: Path) -> AdapterManifest:
    """The manifest of a whole adapter for this version's prompt; AdapterError otherwise."""
    return check_adapter(folder, read_manifest(folder).base_model, PROMPT_VERSION)


def _later_than(latest: float | None) -> Any:
    """Now, but after every promotion so far: SQLite's clock counts milliseconds, and rollback goes by their order."""
    return now() if latest is None else case((now() > latest, now()), else_=latest + 0.001)


def _change_active(base_model: str) -> Any:
    return update(Adapter).where(Adapter.base_model == base_model, Adapter.state == AdapterState.ACTIVE)


def _select() -> Any:
    return select(
        Adapter.digest, Adapter.base_model, Adapter.state, Adapter.path, Adapter.created_at, Adapter.promoted_at
    )


def _read(database: Engine, statement: Any) -> list[Entry]:
    with reading(database) as connection:
        rows: Sequence[Any] = connection.execute(statement).all()
    return [
        Entry(row.digest, row.base_model, AdapterState(row.state), Path(row.path), row.created_at, row.promoted_at)
        for row in rows
    ]
