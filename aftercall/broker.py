"""The Celery app, its delivery settings, and the queries to Redis.

The settings follow from measurements (docs/decisions/queue.md): the database is the source of truth, Redis only
carries.
"""

import logging
import re
from collections.abc import Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import kombu.exceptions
import redis
from celery import Celery

from aftercall import dead_letters, queue_erasure, transport
from aftercall.envelope import build_envelope, describe_arguments, jobs_header
from aftercall.errors import BrokerError
from aftercall.masking import mask_password, printable
from aftercall.message import TASK_NAME, Chunk, queue_name
from aftercall.queue_erasure import Removed
from aftercall.settings import Settings
from aftercall.signing import sign
from aftercall.waiting import WaitingJobs

logger = logging.getLogger(__name__)

#: After this many seconds an unacknowledged message is delivered again. Leases are shorter: the ledger notices first.
VISIBILITY_TIMEOUT_S = 900

SOCKET_TIMEOUT_S = 10
CONNECT_TIMEOUT_S = 5


def create_app(settings: Settings) -> Celery:
    """The Celery app of producers and workers."""
    transport.install(settings.message_key)
    app = Celery("aftercall", broker=_with_verification(settings.redis_url), set_as_current=False)
    app.conf.update(
        task_default_queue=queue_name(settings.queue),
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_acks_late=True,
        # The ledger retries, not the broker: a task that raised is acknowledged, and its jobs are sent again.
        task_acks_on_failure_or_timeout=True,
        task_reject_on_worker_lost=True,
        worker_pool="threads",
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        # True makes a threads worker exit when Redis goes away.
        worker_cancel_long_running_tasks_on_connection_loss=False,
        # Without remote control, gossip and mingle, a worker stops consuming for good after a Redis restart.
        worker_enable_remote_control=True,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # A full Redis also refuses a worker's bookkeeping. That is a channel error, which ends the worker without this.
        broker_channel_error_retry=True,
        broker_transport_options={
            "visibility_timeout": VISIBILITY_TIMEOUT_S,
            "unacked_restore_interval": 10,
            "unacked_restore_throttle": 1,
            "socket_keepalive": True,
            "socket_connect_timeout": CONNECT_TIMEOUT_S,
            "health_check_interval": 10,
            "task_queue": queue_name(settings.queue),
        },
    )
    return app


@dataclass(frozen=True, slots=True)
class RedisServer:
    """What a server reports about itself."""

    #: Such as `valkey 9.1.2`.
    name: str
    eviction_policy: str
    #: Whether it writes its data to an append-only file.
    is_persistent: bool
    used_bytes: int
    #: 0: no limit.
    max_bytes: int

    @property
    def is_evicting(self) -> bool:
        """Whether it would drop the queue, which is one key, when memory runs short."""
        return self.eviction_policy != "noeviction"


class Broker:
    """The queue of one version of messages, for producers and the sweep."""

    def __init__(self, settings: Settings) -> None:
        self._redis = _connect(settings.redis_url)
        #: For messages: without its password.
        self.url = mask_password(settings.redis_url)
        self._raw_url = settings.redis_url
        self._queue = queue_name(settings.queue)
        #: Locks are shared by all versions, because they sweep one ledger.
        self._prefix = settings.queue
        self._app = create_app(settings)
        self._message_key = settings.message_key
        self._waiting = WaitingJobs(self._redis)

    def check(self) -> None:
        """Make sure that Redis answers and keeps what it is given.

        Raises BrokerError if it can't be reached, or would evict the queue when memory runs short.
        """
        server = self.describe()
        if server.is_evicting:
            raise BrokerError(
                f"Redis at {self.url} has maxmemory-policy {server.eviction_policy}: short of memory, it would drop "
                "the whole queue. Set it to noeviction (CONFIG SET maxmemory-policy noeviction, and in its "
                "configuration file)."
            )

    def describe(self) -> RedisServer:
        """The server behind the queue.

        Raises BrokerError if it can't be reached.
        """
        with self._explaining():
            info = self._redis.info()
        kind = info.get("server_name", "redis")
        return RedisServer(
            name=f"{kind} {info.get(f'{kind}_version', info['redis_version'])}",
            eviction_policy=info["maxmemory_policy"],
            is_persistent=bool(info["aof_enabled"]),
            used_bytes=info["used_memory"],
            max_bytes=info["maxmemory"],
        )

    def send(self, chunks: list[Chunk]) -> None:
        """Send one message per chunk.

        Raises BrokerError if Redis can't be reached or is full.
        """
        with self._explaining(), self._app.producer_pool.acquire(block=True) as producer, producer.batch():
            for chunk in chunks:
                # argsrepr is for monitors. Celery's own takes time and would show customers' words.
                self._app.send_task(
                    TASK_NAME,
                    args=[sign(chunk.to_message(), self._message_key)],
                    argsrepr=describe_arguments(chunk),
                    headers=jobs_header(chunk),
                    producer=producer,
                    retry=False,
                    ignore_result=True,
                )

    def send_ahead(self, chunks: list[Chunk]) -> None:
        """Send one message per chunk, in one step, to the end of the queue from which workers take the next one.

        Raises BrokerError as `send` does.
        """
        # Celery puts messages at the other end only. Its priorities are lists of their own, and the most urgent of them
        # is the one that all versions send to.
        messages = [build_envelope(chunk, self._queue, self._message_key) for chunk in chunks]
        with self._explaining():
            if messages:
                self._redis.rpush(self._queue, *reversed(messages))

    def depth(self) -> int:
        """How many messages wait in the queue."""
        with self._explaining():
            return int(self._redis.llen(self._queue))

    def num_bytes(self) -> int:
        """How much of Redis' memory the messages that wait in the queue take."""
        with self._explaining():
            # With 0 samples it looks at every message, whose sizes differ; without, at five of them.
            return int(self._redis.memory_usage(self._queue, samples=0) or 0)

    def foreign_depths(self) -> dict[str, int]:
        """How many messages are in the queues of other message versions, by queue."""
        with self._explaining():
            names = {self._prefix, *(key.decode() for key in self._redis.scan_iter(f"{self._prefix}.v*", _type="list"))}
            names -= {self._queue, *(name for name in names if name.endswith(":dead"))}
            depths = {name: int(self._redis.llen(name)) for name in sorted(names)}
        return {name: depth for name, depth in depths.items() if depth}

    def waiting_job_ids(self) -> set[int]:
        """The jobs of all messages that wait in the queue.

        Delivered messages that are not acknowledged yet don't count. Redis keeps those of a killed worker until the
        visibility timeout; a live worker claims its jobs at once.
        """
        with self._explaining():
            return self._waiting.job_ids(self._queue)

    def dead_letters(self) -> tuple[int, str]:
        """How many messages could not be read and were set aside, and why the newest one was."""
        with self._explaining():
            return dead_letters.count(self._redis, self._queue), dead_letters.newest_reason(self._redis, self._queue)

    def requeue_dead(self) -> int:
        """Put the messages that were set aside back into the queue. Returns how many."""
        with self._explaining():
            return dead_letters.requeue(self._redis, self._queue)

    def purge_dead(self) -> int:
        """Delete the messages that were set aside. Returns how many."""
        with self._explaining():
            return dead_letters.purge(self._redis, self._queue)

    def erase(self, job_ids: Set[int]) -> Removed:
        """Remove the messages with these jobs from all queues, also those of other message versions."""
        with self._explaining():
            names = {key.decode() for key in self._redis.scan_iter(f"{self._prefix}.v*", _type="list")}
            names = {name for name in names if not name.endswith(":dead")} | {self._prefix, self._queue}
            return queue_erasure.remove_jobs(self._redis, names, job_ids, self._message_key)

    def rewrite_log(self) -> str:
        """Let the server write its append-only file anew; returns what came of it."""
        with self._explaining():
            return queue_erasure.rewrite_log(self._redis)

    def is_due(self, name: str, interval_s: float) -> bool:
        """Whether no process asked for `name` in the last `interval_s` seconds. True for one process only."""
        with self._explaining():
            key = f"{self._prefix}:{name}"
            if self._redis.set(key, 1, nx=True, px=round(interval_s * 1000)):
                return True
            self._ensure_end(key, interval_s)
            return False

    @contextmanager
    def lock(self, name: str, ttl_s: float) -> Iterator[bool]:
        """Try to take a lock that one process at a time can hold. Yields True if acquired. Never waits."""
        key = f"{self._prefix}:{name}"
        lock = self._redis.lock(key, timeout=ttl_s, blocking=False)
        with self._explaining():
            is_held = bool(lock.acquire())
            if not is_held:
                self._ensure_end(key, ttl_s)
        try:
            yield is_held
        finally:
            if is_held:
                # Redis may have lost the lock or be unavailable. The lock then expires.
                try:
                    lock.release()
                except redis.RedisError as error:
                    logger.debug("lock %s not released: %s", name, error)

    def _ensure_end(self, key: str, ttl_s: float) -> None:
        """Give a key that someone else set an end, if it has none: a lock that never expires would stop all sweeps."""
        if self._redis.pttl(key) == -1:
            self._redis.pexpire(key, round(ttl_s * 1000))

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()
        self._app.close()

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except (redis.RedisError, kombu.exceptions.KombuError, OSError) as error:
            said = printable(str(error).replace(self._raw_url, self.url).rstrip("."))
            raise BrokerError(
                f"Redis at {self.url} refuses: {said}. Check that it runs, that it has memory left and that "
                "AFTERCALL_REDIS_URL is right. What was submitted is safe in the database; the next worker that "
                "reaches Redis sends it."
            ) from None


def _with_verification(url: str) -> str:
    """The URL with TLS certificates verified unless it says otherwise: kombu's own default is not to verify them."""
    if not url.startswith("rediss:") or "ssl_cert_reqs=" in url:
        return url
    return f"{url}{'&' if '?' in url else '?'}ssl_cert_reqs=required"


def _connect(url: str) -> redis.Redis:
    try:
        parts = urlsplit(url)
        # The queue's library knows no other scheme, and only complains about a database's name when it sends. An @
        # behind the host is the end of a password with / ? or # in it: its beginning was taken for the host.
        is_cut = "@" in f"{parts.path}{parts.query}{parts.fragment}"
        if parts.scheme not in ("redis", "rediss") or is_cut or not re.fullmatch(r"/?[0-9]*/?", parts.path):
            raise ValueError(parts.scheme)
        return redis.Redis.from_url(
            url, socket_timeout=SOCKET_TIMEOUT_S, socket_connect_timeout=CONNECT_TIMEOUT_S, health_check_interval=10
        )
    except ValueError:
        raise BrokerError(
            f"cannot use the Redis URL {mask_password(url)}: expected redis://:PASSWORD@HOST:PORT/NUMBER, with "
            "/ ? # @ in the password written as %2F %3F %23 %40. Correct AFTERCALL_REDIS_URL."
        ) from None
