"""Adapters that serve, or shadow, a share of the conversations of a base model.

A **canary** writes the summaries of its share. A **shadow** writes next to the served adapter, and what it writes is
never exported. Which conversations are drawn follows from their keys, so every worker and every attempt agrees.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Engine, func, select, update

from aftercall.database import now, reading
from aftercall.ledger import audit
from aftercall.ledger.statements import insert
from aftercall.models import Promotion, RolloutResult, Summary
from aftercall.models import Rollout as Row


class Kind(StrEnum):
    """What an adapter does with its share."""

    CANARY = "canary"
    SHADOW = "shadow"


class State(StrEnum):
    """Whether it goes on, and how it ended. At most one of each kind runs for a base model.

    The history names what happened by kind and state: `canary worse`.
    """

    RUNNING = "running"
    #: It was worse beyond doubt, and stopped itself.
    WORSE = "worse"
    #: A person stopped it, or the served adapter changed.
    STOPPED = "stopped"
    PROMOTED = "promoted"


@dataclass(frozen=True, slots=True)
class Rollout:
    """A canary or a shadow."""

    id: int
    base_model: str
    kind: Kind
    adapter_digest: str
    #: What it is compared with; empty: the base model alone.
    served_digest: str
    #: Of the conversations, above 0 to 1.
    share: float
    state: State
    #: Why it ended, in a sentence.
    reason: str | None
    #: The newest summary when it began: later ones count.
    after_summary_id: int
    created_at: float
    ended_at: float | None

    def draws(self, job_key: str) -> bool:
        """Whether a conversation is in its share: by a hash of adapter and conversation, the same everywhere."""
        drawn = hashlib.sha256(f"{self.kind} {self.adapter_digest} {job_key}".encode()).digest()
        return int.from_bytes(drawn[:8]) < self.share * 2**64


@dataclass(frozen=True, slots=True)
class Result:
    """What an adapter wrote for a conversation of a rollout; `models.RolloutResult` explains the fields."""

    rollout_id: int
    job_id: int
    adapter_digest: str
    failure: str | None = None
    text: str | None = None
    needs_review: bool | None = None
    reasons: str | None = None
    finish_reason: str | None = None
    num_completion_tokens: int | None = None


def running(engine: Engine, base_model: str) -> list[Rollout]:
    """The running canary and shadow of a base model. One small query."""
    query = select(Row).where(Row.base_model == base_model, Row.state == State.RUNNING).order_by(Row.id)
    with reading(engine) as connection:
        return [_to_rollout(row) for row in connection.execute(query)]


def every(engine: Engine, base_model: str | None = None) -> list[Rollout]:
    """All rollouts of a base model, or of all, newest first."""
    query = select(Row).order_by(Row.id.desc())
    if base_model is not None:
        query = query.where(Row.base_model == base_model)
    with reading(engine) as connection:
        return [_to_rollout(row) for row in connection.execute(query)]


def begin(engine: Engine, base_model: str, kind: Kind, adapter_digest: str, served: str, share: float) -> None:
    """Start a rollout, and write that to the history.

    Raises IntegrityError if one of its kind runs for the base model.
    """
    newest = select(func.coalesce(func.max(Summary.id), 0)).scalar_subquery()
    values = {"base_model": base_model, "kind": kind, "adapter_digest": adapter_digest, "served_digest": served}
    times = {"created_at": now(), "checked_at": now(), "after_summary_id": newest}
    with engine.begin() as connection:
        connection.execute(insert(connection, Row).values(values | times | {"share": share, "state": State.RUNNING}))
        _note(connection, kind.value, base_model, adapter_digest, served, f"{share:.3g} of the conversations")


def stop(engine: Engine, rollout: Rollout, state: State, reason: str) -> bool:
    """End a rollout that runs, and write that to the history.

    False if it had ended before: of several that try, one succeeds.
    """
    with engine.begin() as connection:
        return end(connection, rollout, state, reason)


def end(connection: Connection, rollout: Rollout, state: State, reason: str) -> bool:
    """As `stop`, in a transaction of the caller's."""
    statement = update(Row).where(Row.id == rollout.id, Row.state == State.RUNNING)
    is_ended = connection.execute(statement.values(state=state, reason=reason, ended_at=now())).rowcount > 0
    if is_ended:
        action = f"{rollout.kind} {state}"
        _note(connection, action, rollout.base_model, rollout.adapter_digest, rollout.served_digest, reason)
    return is_ended


def end_all(connection: Connection, base_model: str, served: str) -> None:
    """End what runs for a base model, because `served` is served from now on."""
    query = select(Row).where(Row.base_model == base_model, Row.state == State.RUNNING).order_by(Row.id)
    for rollout in map(_to_rollout, connection.execute(query).all()):
        is_served = rollout.adapter_digest == served
        state = State.PROMOTED if is_served else State.STOPPED
        end(connection, rollout, state, "it is served now" if is_served else f"{served or 'another'} is served now")


def _note(
    connection: Connection, action: str, base_model: str, adapter_digest: str, served: str, sentence: str
) -> None:
    row = {"base_model": base_model, "action": action, "adapter_digest": adapter_digest, "replaced_digest": served}
    report = json.dumps({"sentence": sentence})
    connection.execute(
        insert(connection, Promotion).values(row | {"is_forced": False, "report": report, "created_at": now()})
    )
    details = {"base model": base_model, "adapter": adapter_digest or "none"}
    audit.record_with(connection, audit.Entry(audit.Action(action), None, details))


def take_check(engine: Engine, rollout_id: int, interval_s: float) -> bool:
    """Whether it is this process's turn to judge a rollout: once per interval, of all that ask."""
    statement = update(Row).where(Row.id == rollout_id, Row.state == State.RUNNING, Row.checked_at < now() - interval_s)
    with engine.begin() as connection:
        return connection.execute(statement.values(checked_at=now())).rowcount > 0


def record(engine: Engine, results: Sequence[Result]) -> None:
    """Write results; one that is there for its rollout, job and adapter is kept."""
    if not results:
        return
    with engine.begin() as connection:
        statement = insert(connection, RolloutResult).values(created_at=now()).on_conflict_do_nothing()
        connection.execute(statement, [asdict(result) for result in results])


def _to_rollout(row: Any) -> Rollout:
    return Rollout(
        id=row.id,
        base_model=row.base_model,
        kind=Kind(row.kind),
        adapter_digest=row.adapter_digest,
        served_digest=row.served_digest,
        share=row.share,
        state=State(row.state),
        reason=row.reason,
        after_summary_id=row.after_summary_id,
        created_at=row.created_at,
        ended_at=row.ended_at,
    )
