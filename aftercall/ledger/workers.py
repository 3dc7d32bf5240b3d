"""The workers: each process sends heartbeats to a row of its own, by the database's clock."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields

from sqlalchemy import Connection, Engine, delete, inspect, select, text

from aftercall.database import now, reading
from aftercall.ledger.statements import insert
from aftercall.models import Job, JobState, Worker

#: Seconds between two heartbeats of a healthy worker.
HEARTBEAT_INTERVAL_S = 10.0

#: A worker without a heartbeat for this long is dead, or cut off from the database.
LIVE_S = 60.0


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    """A worker and what it serves; `models.Worker` explains the fields."""

    name: str
    version: str
    message_version: int
    schema_revision: str
    base_model: str
    #: Empty: the base model alone. None: the model is still loading.
    adapter_digest: str | None
    quantization: str = ""
    compute_dtype: str = ""
    queue: str = ""

    @property
    def model(self) -> str:
        """The model that it serves and how it holds it, such as `phi-1_5 in nf4, bfloat16`."""
        return (
            f"{self.base_model} in {self.quantization}, {self.compute_dtype}" if self.quantization else self.base_model
        )


@dataclass(frozen=True, slots=True)
class LiveWorker:
    """A worker with a recent heartbeat."""

    worker: WorkerRecord
    #: Seconds since it started, and since its last heartbeat.
    age_s: float
    heartbeat_age_s: float

    @property
    def is_overdue(self) -> bool:
        """Whether a heartbeat is overdue: the worker was killed, or is cut off from the database."""
        return self.heartbeat_age_s > 2 * HEARTBEAT_INTERVAL_S


def record_heartbeat(engine: Engine, worker: WorkerRecord) -> None:
    """Record a heartbeat of a worker, with what it serves at this moment."""
    row = asdict(worker)
    with engine.begin() as connection:
        new = insert(connection, Worker).values(row | {"started_at": now(), "seen_at": now()})
        connection.execute(new.on_conflict_do_update(index_elements=["name"], set_=row | {"seen_at": now()}))


def remove(engine: Engine, name: str) -> None:
    """Delete the row of a worker that exits cleanly."""
    with engine.begin() as connection:
        connection.execute(delete(Worker).where(Worker.name == name))


def alive(engine: Engine) -> list[LiveWorker]:
    """The workers with a recent heartbeat, by name."""
    columns = [getattr(Worker, field.name) for field in fields(WorkerRecord)]
    query = (
        select(*columns, now() - Worker.started_at, now() - Worker.seen_at)
        .where(Worker.seen_at > now() - LIVE_S)
        .order_by(Worker.name)
    )
    with reading(engine) as connection:
        return [LiveWorker(WorkerRecord(*row[:-2]), row[-2], row[-1]) for row in connection.execute(query)]


def models_by_queue(alive: Iterable[LiveWorker]) -> dict[str, Counter[str]]:
    """How many workers serve each model, by queue; without those that still load theirs."""
    models: dict[str, Counter[str]] = {}
    for each in alive:
        if each.worker.adapter_digest is not None:
            models.setdefault(each.worker.queue, Counter())[each.worker.model] += 1
    return models


def delete_stale(engine: Engine, max_age_s: float) -> None:
    """Delete the rows of workers without a heartbeat for `max_age_s` seconds."""
    with engine.begin() as connection:
        connection.execute(delete(Worker).where(Worker.seen_at < now() - max_age_s))


def at_work(connection: Connection) -> list[str]:
    """The names of workers that are alive or hold a lease. Works on every schema that the ledger ever had."""
    tables = set(inspect(connection).get_table_names())
    return sorted(set(_at_work(connection, tables)))


def _at_work(connection: Connection, tables: set[str]) -> Iterator[str]:
    if Worker.__tablename__ in tables:
        if connection.dialect.name == "postgresql":
            # A worker that starts now waits for this transaction, and then finds the new schema.
            connection.execute(text("LOCK TABLE worker IN SHARE ROW EXCLUSIVE MODE"))
        yield from connection.execute(select(Worker.name).where(Worker.seen_at > now() - LIVE_S)).scalars()
    if Job.__tablename__ in tables:
        held = select(Job.lease_owner).where(Job.state == JobState.RUNNING, Job.visible_at > now()).distinct()
        yield from (owner for owner in connection.execute(held).scalars() if owner)
