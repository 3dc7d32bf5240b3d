"""The doctor's checks of the ledger: its account, promises, leases and workers."""

from collections import Counter
from collections.abc import Iterator

from sqlalchemy import Engine, text

from aftercall import __version__
from aftercall.database import reading, show_url
from aftercall.ledger import account, invariants, pause, places, workers
from aftercall.ledger.account import Account
from aftercall.ledger.workers import LiveWorker
from producer.advice import RUN, pause_sentence
from producer.doctor.finding import Finding, error, ok, warning

#: Sweeps run every few seconds. A lease that expired longer ago was seen by none.
EXPIRED_GRACE_S = 30.0

#: In a larger ledger, every row is only read if asked for: it takes about ten seconds for a million conversations.
MAX_QUICK = 200_000

#: Submissions that a finding names.
MAX_NAMED = 5

_HOW_TO_CHECK = "`aftercall doctor --thorough` reads every row"
_HOW_TO_REPAIR = "`aftercall doctor --repair` counts anew"

_HOW_TO_START = f"`aftercall worker`, or {RUN} for one source on this machine"


def describe_server(engine: Engine) -> str:
    """Such as `SQLite 3.45.1 at sqlite:///aftercall-data/aftercall.db`."""
    is_sqlite = engine.dialect.name == "sqlite"
    with reading(engine) as connection:
        version = connection.execute(text("SELECT sqlite_version()" if is_sqlite else "SHOW server_version"))
        name = f"{'SQLite' if is_sqlite else 'PostgreSQL'} {version.scalar_one()}"
    return f"{name} at {show_url(engine.url)}"


def findings(engine: Engine, *, is_thorough: bool = False) -> Iterator[Finding]:
    """The account first, as what follows explains it.

    Args:
        is_thorough: read every row, also of a large ledger.
    """
    counted = account.accounts(engine)
    standing = account.add_up(counted.values())
    yield _account(standing)
    yield from _paused(engine)
    if is_thorough or standing.submitted <= MAX_QUICK:
        yield from _recount(engine, counted)
        yield from _promises(engine)
    else:
        yield ok("promises", f"not looked at in {standing.submitted:,} conversations: {_HOW_TO_CHECK}.")
    yield _leases(engine)
    yield from _workers(workers.alive(engine), standing)


def _account(standing: Account) -> Finding:
    parts = (
        f"{standing.submitted:,} submitted = {standing.done:,} done + {standing.failed:,} failed + "
        f"{standing.cancelled:,} cancelled + {standing.insufficient:,} insufficient + {standing.waiting:,} waiting + "
        f"{standing.running:,} running"
    )
    if not standing.is_balanced:
        return error("account", f"it does not add up: {parts}. The ledger was changed by hand: restore a backup.")
    if standing.failed:
        return warning("account", f"{parts}. `aftercall failures` says why they failed.")
    return ok("account", f"{parts}.")


def _paused(engine: Engine) -> Iterator[Finding]:
    if (paused := pause.current(engine)) is not None:
        yield warning("pause", pause_sentence(paused))


def _recount(engine: Engine, counted: dict[int, Account]) -> Iterator[Finding]:
    """What people see is counted from indexes; here the rows themselves."""
    recounted = account.recount(engine)
    # A worker may finish something between the two.
    if counted != recounted and account.accounts(engine) != account.recount(engine):
        wrong = sorted(number for number in counted | recounted if counted.get(number) != recounted.get(number))
        numbers = ", ".join(map(str, wrong[:MAX_NAMED]))
        yield error("account", f"miscounted in submission {numbers}: {_HOW_TO_REPAIR}.")


def repair(engine: Engine) -> Finding:
    """Correct which submission each job is counted in."""
    num_jobs = places.repair(engine)
    return ok("account", f"{num_jobs:,} jobs are counted elsewhere now." if num_jobs else "nothing was to be repaired.")


def _promises(engine: Engine) -> Iterator[Finding]:
    broken = invariants.violations(engine)
    if not broken:
        yield ok("promises", f"all {invariants.NUM_PROMISES} hold: no summary lost, none twice, none without its job.")
    for each in broken:
        yield error(
            "promises",
            f"{each.num_rows:,} {each.what}. aftercall writes no such rows: keep a copy of the database, then restore "
            "a backup or report it.",
        )


def _leases(engine: Engine) -> Finding:
    num_expired = invariants.num_expired(engine, EXPIRED_GRACE_S)
    if num_expired:
        return warning(
            "leases",
            f"{num_expired:,} conversations are held by workers without a heartbeat. A worker queues them again within "
            "seconds, or do it now: `aftercall requeue`.",
        )
    return ok("leases", "none has expired unnoticed.")


def _workers(alive: list[LiveWorker], standing: Account) -> Iterator[Finding]:
    if not alive and standing.open:
        yield error(
            "workers", f"{standing.open:,} conversations wait and no worker is alive: start one, {_HOW_TO_START}."
        )
    elif not alive:
        yield ok("workers", "none is alive, and nothing waits for one.")
    for each in alive:
        yield _worker(each)
    served = Counter(each.worker.adapter_digest for each in alive if each.worker.adapter_digest is not None)
    if len(served) > 1:
        names = ", ".join(f"{digest or 'none'} ({count})" for digest, count in served.most_common())
        yield warning(
            "workers", f"they serve different adapters: {names}. After a promotion this passes within a minute; else "
            "compare AFTERCALL_ADAPTER where they run."
        )  # fmt: skip
    yield from _disagreements(alive)


def _disagreements(alive: list[LiveWorker]) -> Iterator[Finding]:
    """Workers of one queue that hold different models: what a summary looks like then depends on who takes the job."""
    for queue, models in sorted(workers.models_by_queue(alive).items()):
        if len(models) > 1:
            names = "; ".join(f"{model} ({count})" for model, count in models.most_common())
            yield warning(
                "workers", f"those of queue {queue} serve different models or settings: {names}. Give them the same "
                "AFTERCALL_BASE_MODEL, AFTERCALL_QUANTIZATION and AFTERCALL_COMPUTE_DTYPE, or an AFTERCALL_QUEUE each."
            )  # fmt: skip


def _worker(each: LiveWorker) -> Finding:
    worker = each.worker
    is_loading = worker.adapter_digest is None
    serves = "loads its model" if is_loading else f"serves {worker.model}, adapter {worker.adapter_digest or 'none'}"
    sentence = f"{worker.name} (aftercall {worker.version}) {serves}"
    if each.is_overdue:
        return warning(
            "workers", f"{sentence}; silent for {each.heartbeat_age_s:.0f} s: killed, or cut off from the database."
        )
    if worker.version != __version__:
        return warning("workers", f"{sentence}; this is aftercall {__version__}: restart it on that version.")
    return ok("workers", f"{sentence}.")
