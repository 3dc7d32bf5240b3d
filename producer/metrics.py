"""`aftercall metrics --textfile`: the state of the ledger, the queue and the workers for Prometheus.

The file is what node_exporter's textfile collector reads. `aftercall_up` says which part can't be reached; its figures
are left out.
"""

from collections.abc import Iterable
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile
from sqlalchemy import func, select

from aftercall.database import now, reading
from aftercall.errors import BrokerError
from aftercall.ledger import tally
from aftercall.ledger.workers import LiveWorker
from aftercall.models import Job, JobState
from producer.services import Services
from producer.standing import Standings, read_standings

PREFIX = "aftercall_"


def write_metrics(services: Services, out: Path, deadline: str) -> None:
    """Write the metrics, aside first. Raises OSError if the folder can't be written."""
    registry = CollectorRegistry()
    collect(services, registry, deadline)
    write_to_textfile(str(out), registry)


def collect(services: Services, registry: CollectorRegistry, deadline: str) -> None:
    """Everything into a registry."""
    standings = read_standings(services.database, deadline=deadline)
    _jobs(services, registry)
    _workers(standings.workers, standings, registry)
    _submissions(standings, registry)
    spool = Gauge(
        PREFIX + "spool_files", "Files of finished summaries that wait here for the database.", registry=registry
    )
    spool.set(sum(1 for _ in services.settings.spool_dir.glob("*.json")))
    up = Gauge(PREFIX + "up", "Whether a part answers.", ["part"], registry=registry)
    up.labels("database").set(1)
    try:
        depth = services.broker.depth()
    except BrokerError:
        up.labels("redis").set(0)
    else:
        up.labels("redis").set(1)
        Gauge(PREFIX + "queue_messages", "Messages in the queue.", registry=registry).set(depth)


def _jobs(services: Services, registry: CollectorRegistry) -> None:
    """Counts of jobs, each once however many submissions contain it."""
    jobs = Gauge(PREFIX + "jobs", "Conversations by state.", ["state"], registry=registry)
    waiting = Gauge(
        PREFIX + "oldest_waiting_seconds", "Age of the oldest conversation that waits; 0 if none.", registry=registry
    )
    expired = Gauge(
        PREFIX + "leases_expired", "Conversations held by a worker whose lease has expired.", registry=registry
    )
    oldest = select(func.min(Job.created_at)).where(Job.state == JobState.QUEUED)
    with reading(services.database) as connection:
        counts = tally.count_jobs(connection)
        for state in JobState:
            jobs.labels(state.value).set(counts[state])
        at = connection.execute(select(now())).scalar_one()
        waiting.set(at - (connection.execute(oldest).scalar_one() or at))
        is_expired = (Job.state == JobState.RUNNING) & (Job.visible_at < now())
        expired.set(connection.execute(select(func.count()).select_from(Job).where(is_expired)).scalar_one())


def _workers(workers: Iterable[LiveWorker], standings: Standings, registry: CollectorRegistry) -> None:
    alive = Gauge(PREFIX + "workers", "Workers that are alive, and those that are down.", ["state"], registry=registry)
    alive.labels("alive").set(standings.pace.num_alive)
    alive.labels("down").set(standings.pace.num_down)
    paused = Gauge(PREFIX + "paused", "Whether `aftercall pause` holds everything back.", registry=registry)
    paused.set(standings.pause is not None)
    rate = Gauge(
        PREFIX + "conversations_per_second", "Pace of the workers alive in the last ten minutes.", registry=registry
    )
    rate.set(standings.pace.rate or 0.0)
    served = Gauge(
        PREFIX + "adapter_info", "1 for each worker and the adapter it serves; empty: the base model alone.",
        ["worker", "base_model", "adapter", "version"], registry=registry,
    )  # fmt: skip
    for each in workers:
        if each.worker.adapter_digest is not None:
            row = (each.worker.name, each.worker.base_model, each.worker.adapter_digest, each.worker.version)
            served.labels(*row).set(1)


def _submissions(standings: Standings, registry: CollectorRegistry) -> None:
    """Of what is open and of the newest submission: finished ones would be a new time series every night."""
    slack = Gauge(
        PREFIX + "deadline_slack_seconds", "Seconds from the expected or known end to the deadline; negative: late.",
        ["submission"], registry=registry,
    )  # fmt: skip
    opened = Gauge(PREFIX + "open_conversations", "Waiting or running.", ["submission"], registry=registry)
    newest = standings.submissions[-1:]
    for each in (each for each in standings.submissions if each.account.open or each in newest):
        number = str(each.record.id)
        opened.labels(number).set(each.account.open)
        if each.estimate.slack_s is not None:
            slack.labels(number).set(each.estimate.slack_s)
