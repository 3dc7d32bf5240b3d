"""What the doctor asks of Redis, and how the queue stands beside the ledger."""

from collections.abc import Iterator

from sqlalchemy import Engine

from aftercall.broker import Broker, RedisServer
from aftercall.errors import BrokerError
from aftercall.ledger import delivery, invariants
from aftercall.message import queue_name
from aftercall.settings import Settings
from producer import advice
from producer.doctor.finding import Finding, error, ok, warning

#: Share of Redis' memory from which on it is time to think.
FULL_SHARE = 0.8


def findings(settings: Settings, broker: Broker, ledger: Engine | None) -> Iterator[Finding]:
    """The server first; what is in it only if it answers."""
    try:
        server = broker.describe()
    except BrokerError as problem:
        yield _unreachable(settings, problem)
        return
    yield from _server(server, broker.url)
    yield from _other_queues(broker)
    if ledger is not None:
        yield from _queue(settings, broker, ledger)


def _unreachable(settings: Settings, problem: BrokerError) -> Finding:
    if advice.is_one_machine(settings):
        return warning("redis", f"{problem} {advice.RUN_NEEDS_NO_REDIS}")
    return error("redis", str(problem))


def _server(server: RedisServer, url: str) -> Iterator[Finding]:
    if server.is_evicting:
        yield error(
            "redis",
            f"maxmemory-policy is {server.eviction_policy}: short of memory, it drops the queue, so no worker starts. "
            "Set noeviction (CONFIG SET maxmemory-policy noeviction, and in its configuration file).",
        )
    if not server.is_persistent:
        yield warning(
            "redis",
            "it keeps nothing on disk: after a restart all messages are sent again. Set appendonly yes to spare that.",
        )
    if server.max_bytes and server.used_bytes > FULL_SHARE * server.max_bytes:
        yield warning(
            "redis",
            f"{server.used_bytes / 1e6:,.0f} of {server.max_bytes / 1e6:,.0f} MB are used. Give it more, or make "
            "AFTERCALL_WINDOW smaller.",
        )
    yield ok("redis", f"{server.name} at {url}, {server.used_bytes / 1e6:,.1f} MB used.")


def _other_queues(broker: Broker) -> Iterator[Finding]:
    for name, depth in broker.foreign_depths().items():
        yield warning(
            "queue",
            f"{depth:,} messages of another version lie in {name}. If no worker of that version is left, delete them: "
            f"redis-cli DEL {name}. Their conversations are sent again.",
        )


def _queue(settings: Settings, broker: Broker, ledger: Engine) -> Iterator[Finding]:
    sent = set(delivery.sent_before(ledger, settings.lost_after_s))
    waiting = broker.waiting_job_ids()
    num_unknown = len(waiting) - invariants.num_known(ledger, waiting)
    # Asked twice: what left the queue between the two was claimed, not lost.
    num_lost = len((sent - waiting).intersection(delivery.sent_before(ledger, settings.lost_after_s)))
    if num_unknown:
        yield warning(
            "queue",
            f"messages name {num_unknown:,} conversations that this ledger does not have. If it was restored, empty "
            f"the queue: redis-cli DEL {queue_name(settings.queue)}. If two ledgers share this Redis, give each an "
            "AFTERCALL_QUEUE of its own.",
        )
    if num_lost:
        yield warning(
            "queue",
            f"{num_lost:,} conversations lost their message. A worker sends them again within "
            f"{settings.lost_after_s:g} s, or do it now: `aftercall requeue`.",
        )
    if not num_unknown and not num_lost:
        yield ok(
            "queue",
            # Two with the same words travel as one.
            f"{broker.depth():,} messages wait with {len(waiting):,} different conversations, as the ledger has it.",
        )
