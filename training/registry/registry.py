"""The registry of adapters: one SQL row per adapter, which is a candidate, active or retired.

At most one adapter per base model is active, and workers serve it. A promotion or rollback and its row in the history
are one transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from sqlalchemy import Connection, Engine, Select, select, update
from sqlalchemy.exc import IntegrityError

from adapters import find_shipped
from aftercall.database import now, reading
from aftercall.errors import AdapterError
from aftercall.ledger import rollouts
from aftercall.ledger.audit import Action
from aftercall.ledger.statements import insert
from aftercall.models import Adapter
from training.registry import history
from training.registry.history import Change
from worker.adapters.manifest import MANIFEST_FILE, AdapterManifest, check_adapter, read_manifest

#: An adapter's columns, in the order of `Entry`'s fields.
_Query = Select[str, str, str, str, float, float | None]


class AdapterState(StrEnum):
    """The state of an adapter."""

    CANDIDATE = "candidate"
    ACTIVE = "active"
    RETIRED = "retired"
    #: Ships with aftercall and is not in the registry; workers serve it while no other is active.
    SHIPPED = "shipped"


@dataclass(frozen=True, slots=True)
class Entry:
    """An adapter's row in the registry."""

    digest: str
    base_model: str
    state: AdapterState
    path: Path
    created_at: float
    #: When it last became active; None: never.
    promoted_at: float | None


@dataclass(frozen=True, slots=True)
class Trial:
    """The comparison that a promotion is based on."""

    #: Digest of the adapter that workers serve, which the new one replaces; None: the base model alone.
    incumbent: str | None
    is_forced: bool = False
    #: The gate's report as JSON; None if nothing was compared.
    report: str | None = None


def register(database: Engine, folder: Path) -> Entry:
    """Register the adapter in `folder` as a candidate; an adapter that is already registered is unchanged.

    Only if its registered folder no longer exists does `folder` replace it. Raises AdapterError if `folder` is not a
    complete adapter.
    """
    manifest = check_folder(folder)
    place = {"path": str(folder.resolve()), "manifest": (folder / MANIFEST_FILE).read_text()}
    with database.begin() as connection:
        connection.execute(
            insert(connection, Adapter)
            .values(
                digest=manifest.digest,
                base_model=manifest.base_model,
                state=AdapterState.CANDIDATE,
                created_at=now(),
                **place,
            )
            .on_conflict_do_nothing()
        )
        is_it = Adapter.digest == manifest.digest
        if not Path(connection.execute(select(Adapter.path).where(is_it)).scalar_one()).is_dir():
            connection.execute(update(Adapter).where(is_it).values(place))
    return find(database, manifest.digest)


def entries(database: Engine) -> list[Entry]:
    """All registered adapters, newest first."""
    return _read(database, _select().order_by(Adapter.created_at.desc(), Adapter.digest))


def find(database: Engine, digest: str) -> Entry:
    """The registered adapter whose digest starts with `digest`; AdapterError unless there is exactly one."""
    return take_one(_read(database, _select().where(Adapter.digest.startswith(digest, autoescape=True))), digest)


def take_one(found: Sequence[Entry], digest: str) -> Entry:
    """The only entry of those found for `digest`; AdapterError unless there is exactly one."""
    if not found:
        raise AdapterError(f"no adapter {digest!r} is registered; `aftercall adapters list` shows all")
    if len(found) > 1:
        raise AdapterError(f"{len(found)} adapters start with {digest!r}; give more digits")
    return found[0]


def active(database: Engine, base_model: str) -> Entry | None:
    """The adapter that workers serve for a base model."""
    found = _read(database, _select().where(Adapter.base_model == base_model, Adapter.state == AdapterState.ACTIVE))
    return found[0] if found else None


def promote(database: Engine, digest: str, trial: Trial) -> None:
    """Make an adapter active, retire the previous one and write the history, in one transaction.

    Raises AdapterError if its folder is incomplete, or if workers no longer serve what it was compared with.
    """
    entry = find(database, digest)
    require_folder(entry.path, entry.digest)
    check_folder(entry.path)
    try:
        with database.begin() as connection:
            replaced = _retire_active(connection, entry.base_model) or shipped_digest(entry.base_model)
            if replaced != trial.incumbent:
                raise _overtaken(entry.base_model)
            _activate(connection, entry.digest)
            rollouts.end_all(connection, entry.base_model, entry.digest)
            history.write(
                connection,
                Change(
                    base_model=entry.base_model,
                    action=Action.PROMOTE,
                    adapter_digest=entry.digest,
                    replaced_digest=replaced,
                    is_forced=trial.is_forced,
                    report=trial.report,
                ),
            )
    except IntegrityError as error:
        raise _overtaken(entry.base_model) from error


def rollback(database: Engine, base_model: str) -> tuple[Entry, Entry | None]:
    """Undo the last promotion that has not been undone: retire its adapter and reactivate the one it replaced.

    Returns both; the second is None if it replaced no registered one, and workers fall back to the shipped one. Raises
    AdapterError if nothing is active, or if the active adapter changed meanwhile.
    """
    current = active(database, base_model)
    if current is None:
        raise AdapterError(f"no adapter of {base_model} is active, so there is nothing to roll back")
    back = _replaced_by(database, current)
    if back:
        require_folder(back.path, back.digest)
        check_folder(back.path)
    with database.begin() as connection:
        if _retire_active(connection, base_model) != current.digest:
            raise _overtaken(base_model)
        if back:
            _activate(connection, back.digest)
        rollouts.end_all(connection, base_model, back.digest if back else shipped_digest(base_model) or "")
        history.write(
            connection,
            Change(
                base_model=base_model,
                action=Action.ROLLBACK,
                adapter_digest=back.digest if back else None,
                replaced_digest=current.digest,
            ),
        )
    return current, back


def shipped_digest(base_model: str) -> str | None:
    """The adapter that workers serve while no registered one is active; None: the base model alone."""
    folder = find_shipped(base_model)
    return folder.name if folder else None


def require_folder(folder: Path, digest: str) -> None:
    """Raises AdapterError if an adapter's folder does not exist."""
    if not folder.is_dir():
        raise AdapterError(
            f"the folder of adapter {digest} no longer exists: {folder}. Put it back, or give its new location with "
            "`aftercall adapters register FOLDER`."
        )


def check_folder(folder: Path) -> AdapterManifest:
    """The manifest of a complete adapter, for whichever profile; AdapterError otherwise."""
    return check_adapter(folder, read_manifest(folder).base_model, None)


def _retire_active(connection: Connection, base_model: str) -> str | None:
    """Retire the active adapter; returns its digest, or None if there was none."""
    is_active = (Adapter.base_model == base_model) & (Adapter.state == AdapterState.ACTIVE)
    retire = update(Adapter).where(is_active).values(state=AdapterState.RETIRED).returning(Adapter.digest)
    return connection.scalar(retire)


def _activate(connection: Connection, digest: str) -> None:
    connection.execute(
        update(Adapter).where(Adapter.digest == digest).values(state=AdapterState.ACTIVE, promoted_at=now())
    )


def _replaced_by(database: Engine, current: Entry) -> Entry | None:
    """The registered adapter that the active one replaced, if any."""
    with reading(database) as connection:
        changes = [entry.change for entry in history.read(connection, current.base_model)]
    promotion = history.last_standing(changes)
    if promotion is None or promotion.replaced_digest is None:
        return None
    found = _read(database, _select().where(Adapter.digest == promotion.replaced_digest))
    return found[0] if found else None


def _overtaken(base_model: str) -> AdapterError:
    return AdapterError(
        f"the active adapter of {base_model} was changed meanwhile by another command; check `aftercall adapters "
        "history` and try again"
    )


def _select() -> _Query:
    return select(
        Adapter.digest, Adapter.base_model, Adapter.state, Adapter.path, Adapter.created_at, Adapter.promoted_at
    )


def _read(database: Engine, statement: _Query) -> list[Entry]:
    with reading(database) as connection:
        rows = connection.execute(statement).all()
    return [
        Entry(row.digest, row.base_model, AdapterState(row.state), Path(row.path), row.created_at, row.promoted_at)
        for row in rows
    ]
