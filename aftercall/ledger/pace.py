"""How fast conversations are finished, by which workers, and between which times. Only reads."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Engine, func, select

from aftercall.database import now, reading
from aftercall.ledger import tally
from aftercall.ledger.account import Account, make_account
from aftercall.ledger.workers import HEARTBEAT_INTERVAL_S
from aftercall.models import Pause, Submission, Summary, Worker

#: The estimate uses summaries of this long.
RECENT_S = 600.0

#: And not more of them: reading more would not change the estimate and would cost a busy ledger something.
MAX_RECENT = 5_000

#: A worker with no heartbeat for this long has been replaced or given up; it is not counted as down.
DOWN_S = 43_200.0


@dataclass(frozen=True, slots=True)
class Span:
    """Between which times a submission's conversations were finished, and how many were worked on."""

    #: Seconds since the epoch; None before the first.
    first_at: float | None = None
    last_at: float | None = None
    #: Done or failed since the source was submitted.
    num_worked: int = 0
    #: Open conversations up to its last one, other submissions' among them: workers do all of these first.
    num_ahead: int = 0


@dataclass(frozen=True, slots=True)
class Pace:
    """What the workers achieved in the last minutes, and who of them is alive."""

    #: The database's clock, in seconds since the epoch.
    at: float
    #: Workers with recent heartbeats.
    num_alive: int
    #: Workers that ended without saying so, or that can't reach the database.
    num_down: int
    #: Conversations/s of the workers that are alive; None if they finished nothing lately.
    rate: float | None
    #: Since when nothing new is begun; None: the ledger is not paused.
    paused_at: float | None = None


def tallies(engine: Engine, submission_ids: Collection[int] | None = None) -> dict[int, tuple[Account, Span]]:
    """Account and span of each of these submissions that have conversations, or of all, by number.

    Conversations that were finished before the source was submitted don't count in the span: their summaries were taken
    over.
    """
    with reading(engine) as connection:
        counted, waiting = tally.read(connection, submission_ids)
    return {
        number: (make_account(each), Span(each.first_at, each.last_at, each.num_worked, waiting.num_ahead(each)))
        for number, each in counted.items()
    }


def pace(engine: Engine) -> Pace:
    """The pace of the last ten minutes. Reads a few thousand rows at most, however large the ledger is."""
    query = select(Summary.worker, Summary.created_at).order_by(Summary.id.desc()).limit(MAX_RECENT)
    signs = select(Worker.name, now() - Worker.seen_at, now() - Worker.started_at)
    with reading(engine) as connection:
        at = connection.execute(select(now())).scalar_one()
        ages = {name: (silent_s, age_s) for name, silent_s, age_s in connection.execute(signs)}
        paused_at = connection.execute(select(Pause.paused_at)).scalar_one_or_none()
        recent = [(worker, created_at) for worker, created_at in connection.execute(query)]
    alive = {name: age_s for name, (silent_s, age_s) in ages.items() if silent_s <= 2 * HEARTBEAT_INTERVAL_S}
    num_down = sum(2 * HEARTBEAT_INTERVAL_S < silent_s < DOWN_S for silent_s, _ in ages.values())
    return Pace(at, len(alive), num_down, _rate(alive, recent, at), paused_at)


def newest_submission(engine: Engine) -> int | None:
    """The number of the submission that was made last; None if there is none."""
    with reading(engine) as connection:
        return connection.execute(select(func.max(Submission.id))).scalar_one()


def _rate(alive: dict[str, float], recent: list[tuple[str, float]], at: float) -> float | None:
    """The sum of the rates of those alive, each over the time that it has been working."""
    oldest = min((created_at for _, created_at in recent), default=at)
    # With all of MAX_RECENT in the period, its older part was not read.
    period_s = min(RECENT_S, at - oldest) if len(recent) == MAX_RECENT else RECENT_S
    counts = Counter(worker for worker, created_at in recent if created_at > at - period_s)
    begun: dict[str, float] = {}
    for worker, created_at in recent:
        if created_at > at - period_s:
            begun[worker] = min(begun.get(worker, at), created_at)
    rates = (
        counts[name] / max(1.0, min(period_s, age_s, at - begun[name])) for name, age_s in alive.items() if counts[name]
    )
    return sum(rates) or None
