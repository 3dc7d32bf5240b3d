"""Who works: each worker process gives signs of life in a row of its own, by the database's clock."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields

from sqlalchemy import Connection, Engine, delete, inspect, select, text

from aftercall.database import now, reading
from aftercall.ledger.statements import insert
from aftercall.models import Job, JobState, Worker

#: The longest pause between two signs of life of a worker that is well.
HEARTBEAT_INTERVAL_S = 10.0

#: A worker that gave no sign for so long is dead, or cut off from the database.
LIVE_S = 60.0


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    """A worker and what it is; the fields are those of `models.Worker`, where they are explained."""

    name: str
    version: str
    message_version: int
    schema_revision: str
    base_model: str
    #: Empty: the base model alone. None: it still loads its model.
    adapter_digest: str | None


@dataclass(frozen=True, slots=True)
class LiveWorker:
    """A worker that gave a sign of life not long ago."""

    worker: WorkerRecord
    #: Seconds since it started, and since its last sign.
    age_s: float
    silent_s: float

    @property
    def is_silent(self) -> bool:
        """Whether at least one sign is overdue: it was killed, or is cut off from the database."""
        return self.silent_s > 2 * HEARTBEAT_INTERVAL_S


def seen(engine: Engine, worker: WorkerRecord) -> None:
    """A worker's sign of life, with what it serves at this moment."""
    row = asdict(worker)
    with engine.begin() as connection:
        new = insert(connection, Worker).values(row | {"started_at": now(), "seen_at": now()})
        connection.execute(new.on_conflict_do_update(index_elements=["name"], set_=row | {"seen_at": now()}))


def gone(engine: Engine, name: str) -> None:
    """A worker has ended in order."""
    with engine.begin() as connection:
        connection.execute(delete(Worker).where(Worker.name == name))


def alive(engine: Engine) -> list[LiveWorker]:
    """Those who gave a sign of life not long ago, by name."""
    columns = [getattr(Worker, field.name) for field in fields(WorkerRecord)]
    query = (
        select(*columns, now() - Worker.started_at, now() - Worker.seen_at)
        .where(Worker.seen_at > now() - LIVE_S)
        .order_by(Worker.name)
    )
    with reading(engine) as connection:
        return [LiveWorker(WorkerRecord(*row[:-2]), row[-2], row[-1]) for row in connection.execute(query)]


def forget(engine: Engine, silent_s: float) -> None:
    """Delete the rows of those who gave no sign for so long."""
    with engine.begin() as connection:
        connection.execute(delete(Worker).where(Worker.seen_at < now() - silent_s))


def at_work(connection: Connection) -> list[str]:
    """The names of those who are alive or hold a lease, whatever schema of the ledger's history this is."""
    tables = set(inspect(connection).get_table_names())
    return sorted(set(_at_work(connection, tables)))


def _at_work(connection: Connection, tables: set[str]) -> Iterator[str]:
    if Worker.__tablename__ in tables:
        if connection.dialect.name == "postgresql":
            # Whoever starts now waits for the end of this transaction, and then finds the schema changed.
            connection.execute(text("LOCK TABLE worker IN SHARE ROW EXCLUSIVE MODE"))
        yield from connection.execute(select(Worker.name).where(Worker.seen_at > now() - LIVE_S)).scalars()
    if Job.__tablename__ in tables:
        held = select(Job.lease_owner).where(Job.state == JobState.RUNNING, Job.visible_at > now()).distinct()
        yield from (owner for owner in connection.execute(held).scalars() if owner)
