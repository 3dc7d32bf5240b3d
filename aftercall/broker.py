"""The Celery app, its delivery settings, and the questions asked of Redis.

The settings follow from measurements (docs/decisions/queue.md): the database is the truth, Redis only carries. Knows no
job's state and no model.
"""

import base64
import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

import kombu.exceptions
import redis
from celery import Celery

from aftercall.errors import BrokerError
from aftercall.message import TASK_NAME, Chunk, queue_name
from aftercall.settings import Settings

logger = logging.getLogger(__name__)

#: After this long an unacknowledged message is delivered again. Leases are shorter: the ledger notices first.
VISIBILITY_TIMEOUT_S = 900


def create_app(settings: Settings) -> Celery:
    """The Celery app of producers and workers."""
    app = Celery("aftercall", broker=settings.redis_url, set_as_current=False)
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
        # A full Redis refuses a worker's bookkeeping too. That is a channel's error; without this it ends the worker.
        broker_channel_error_retry=True,
        broker_transport_options={
            "visibility_timeout": VISIBILITY_TIMEOUT_S,
            "unacked_restore_interval": 10,
            "unacked_restore_throttle": 1,
            "socket_keepalive": True,
            "health_check_interval": 10,
        },
    )
    return app


@dataclass(frozen=True, slots=True)
class RedisServer:
    """What a server says of itself."""

    #: Such as `valkey 9.1.2`.
    name: str
    eviction_policy: str
    #: Whether it writes what it holds into an append-only file.
    is_persistent: bool
    used_bytes: int
    #: 0: no limit.
    max_bytes: int

    @property
    def is_evicting(self) -> bool:
        """Whether it would drop the queue, which is one key, when its memory is short."""
        return self.eviction_policy != "noeviction"


class Broker:
    """The queue as producers and the sweep see it."""

    def __init__(self, settings: Settings) -> None:
        self._redis = _connect(settings.redis_url)
        #: As people may see it: without its password.
        self.url = _hide_password(settings.redis_url)
        self._queue = queue_name(settings.queue)
        #: Locks are shared by all versions: they sweep one ledger.
        self._prefix = settings.queue
        self._app = create_app(settings)

    def check(self) -> None:
        """Make sure that Redis answers and keeps what it is given.

        Raises BrokerError if it cannot be reached, or would evict the queue when memory is short.
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

        Raises BrokerError if it cannot be reached.
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
        """Send one message a chunk.

        Raises BrokerError if Redis cannot be reached or takes no more.
        """
        with self._explaining(), self._app.producer_pool.acquire(block=True) as producer, producer.batch():
            for chunk in chunks:
                # The repr is for monitors: left to Celery it takes time, and shows them the customers' words.
                self._app.send_task(
                    TASK_NAME,
                    args=[chunk.to_message()],
                    argsrepr=f"({len(chunk.jobs)} conversations)",
                    producer=producer,
                    retry=False,
                    ignore_result=True,
                )

    def depth(self) -> int:
        """How many messages wait in the queue."""
        with self._explaining():
            return int(self._redis.llen(self._queue))

    def foreign_depths(self) -> dict[str, int]:
        """How many messages lie in the queues of other message versions, by queue."""
        with self._explaining():
            names = {self._prefix, *(key.decode() for key in self._redis.scan_iter(f"{self._prefix}.v*", _type="list"))}
            depths = {name: int(self._redis.llen(name)) for name in sorted(names - {self._queue})}
        return {name: depth for name, depth in depths.items() if depth}

    def waiting_job_ids(self) -> set[int]:
        """The jobs of all messages that wait in the queue.

        Not of those that were delivered and not yet acknowledged: Redis keeps them for a worker that was killed until
        the visibility timeout, and a worker that lives claims their jobs at once.
        """
        with self._explaining():
            messages = self._redis.lrange(self._queue, 0, -1)
        return {job_id for message in messages for job_id in _job_ids(message)}

    def is_due(self, name: str, interval_s: float) -> bool:
        """Whether nobody has asked for `name` in the last `interval_s` seconds; true for one process only."""
        with self._explaining():
            return bool(self._redis.set(f"{self._prefix}:{name}", 1, nx=True, px=round(interval_s * 1000)))

    @contextmanager
    def lock(self, name: str, ttl_s: float) -> Iterator[bool]:
        """Try to take a lock that is for one process at a time; yields whether it was got. Never waits."""
        lock = self._redis.lock(f"{self._prefix}:{name}", timeout=ttl_s, blocking=False)
        with self._explaining():
            is_held = bool(lock.acquire())
        try:
            yield is_held
        finally:
            if is_held:
                # Redis may have lost the lock meanwhile, or be gone: it then ends by its time limit.
                try:
                    lock.release()
                except redis.RedisError as error:
                    logger.debug("lock %s not released: %s", name, error)

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()
        self._app.close()

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except (redis.RedisError, kombu.exceptions.KombuError, OSError) as error:
            said = str(error).rstrip(".")
            raise BrokerError(
                f"Redis at {self.url} refuses: {said}. Check that it runs, that it has memory left and that "
                "AFTERCALL_REDIS_URL is right. What was submitted is safe in the database; the next worker that "
                "reaches Redis sends it."
            ) from None


def _job_ids(message: bytes | str) -> list[int]:
    """The job ids in a kombu message; none if it is not one of ours, or no message at all."""
    try:
        args = json.loads(base64.b64decode(json.loads(message)["body"]))[0]
        return [job_id for job_id, _ in args[0]["jobs"]]
    except (KeyError, IndexError, TypeError, ValueError):
        return []


def _connect(url: str) -> redis.Redis:
    try:
        parts = urlsplit(url)
        # The queue's library knows no other, and finds fault with a database's name only when it sends.
        if parts.scheme not in ("redis", "rediss") or not re.fullmatch(r"/?[0-9]*/?", parts.path):
            raise ValueError(parts.scheme)
        return redis.Redis.from_url(url, socket_timeout=10, socket_connect_timeout=5, health_check_interval=10)
    except ValueError:
        raise BrokerError(
            f"cannot use the Redis URL {_hide_password(url)}: expected redis://:PASSWORD@HOST:PORT/NUMBER. "
            "Correct AFTERCALL_REDIS_URL."
        ) from None


def _hide_password(url: str) -> str:
    """The URL as people may see it: without its password, which may also stand behind the question mark."""
    try:
        parts = urlsplit(url)
    except ValueError:
        # Not a URL at all, so no telling where in it a password stands.
        return "(unreadable)"
    if parts.password is not None:
        parts = parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", ":***@"))
    query = re.sub(r"(password=)[^&]*", r"\1***", parts.query)
    return urlunsplit(parts._replace(query=query))
