"""The doctor's checks of Redis, and of the queue against the ledger."""

from collections.abc import Iterator

from sqlalchemy import Engine

from aftercall.broker import Broker, RedisServer
from aftercall.errors import BrokerError
from aftercall.ledger import delivery, invariants
from aftercall.message import queue_name
from aftercall.settings import Settings
from producer import advice
from producer.doctor.finding import Finding, error, ok, warning

#: Share of Redis' memory in use above which the doctor warns.
FULL_SHARE = 0.8


def findings(settings: Settings, broker: Broker, ledger: Engine | None) -> Iterator[Finding]:
    """The server first; the queue only if the server answers."""
    try:
        server = broker.describe()
    except BrokerError as problem:
        yield _unreachable(settings, problem)
        return
    yield from _server(server, broker.url)
    yield from _dead_letters(broker)
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
            f"maxmemory-policy is {server.eviction_policy}: it drops the queue when memory runs short, so no worker "
            "starts. Set noeviction (CONFIG SET maxmemory-policy noeviction, and in its configuration file).",
        )
    if not server.is_persistent:
        yield warning(
            "redis",
            "it keeps nothing on disk: after a restart all messages are sent again. Set appendonly yes to avoid that.",
        )
    if server.max_bytes and server.used_bytes > FULL_SHARE * server.max_bytes:
        yield warning(
            "redis",
            f"{server.used_bytes / 1e6:,.0f} of {server.max_bytes / 1e6:,.0f} MB are used. Give it more, or make "
            "AFTERCALL_WINDOW_BYTES smaller.",
        )
    yield ok("redis", f"{server.name} at {url}, {server.used_bytes / 1e6:,.1f} MB used.")


def _dead_letters(broker: Broker) -> Iterator[Finding]:
    num_dead, reason = broker.dead_letters()
    if num_dead:
        yield warning(
            "queue",
            f"{num_dead:,} message{'s' * (num_dead > 1)} that no worker could read {'are' if num_dead > 1 else 'is'} "
            f"set aside; the newest: {reason}. Another program may write to this queue. Their jobs are in the ledger "
            "and sent again. After an upgrade, `aftercall requeue --dead` tries them again; `aftercall purge --dead` "
            "deletes them.",
        )


def _other_queues(broker: Broker) -> Iterator[Finding]:
    for name, depth in broker.foreign_depths().items():
        yield warning(
            "queue",
            f"{depth:,} messages of another version are in {name}. If no worker of that version is left, delete them: "
            f"redis-cli DEL {name}. Their conversations are sent again.",
        )


def _queue(settings: Settings, broker: Broker, ledger: Engine) -> Iterator[Finding]:
    sent = set(delivery.sent_before(ledger, settings.lost_after_s))
    waiting = broker.waiting_job_ids()
    num_unknown = len(waiting) - invariants.num_known(ledger, waiting)
    # Read twice: a job that left the queue in between was claimed, not lost.
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
            # Conversations with the same text share a job.
            f"{broker.depth():,} messages wait with {len(waiting):,} different conversations, as the ledger has it.",
        )
