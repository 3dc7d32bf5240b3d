"""What is broken: workers, Redis, the database. A kind is a function that breaks a thing and, where it must, mends it.

Faults of one part come one after the other, those of different parts at the same time. What a function draws comes
from its own seed, so that it draws the same however the lanes run. Knows no verdict.
"""

import json
import os
import random
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from aftercall.broker import Broker, create_app
from aftercall.errors import BrokerError
from aftercall.message import MESSAGE_VERSION, TASK_NAME, Chunk, ChunkJob, queue_name
from aftercall.models import Job
from bench.campaign.site import Site


class Part(StrEnum):
    """What is broken."""

    WORKER = "worker"
    REDIS = "redis"
    DATABASE = "database"
    PEOPLE = "people"


#: Breaks something; returns the jobs that were in the broken workers' hands.
Action = Callable[[Site, random.Random], frozenset[int]]

NONE_HELD: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault."""

    name: str
    part: Part
    action: Action
    #: The one database that can break so; empty: any.
    database: str = ""


# -- workers


def _victim(site: Site, draw: random.Random) -> tuple[int, frozenset[int]]:
    """A worker, one that holds something if any does within two seconds."""
    pids: list[int] = []
    for _ in range(40):
        pids = site.worker_pids()
        draw.shuffle(pids)
        for pid in pids:
            if held := site.running(pid):
                return pid, held
        time.sleep(0.05)
    return (pids or [0])[0], NONE_HELD


def _signal(pid: int, number: signal.Signals) -> None:
    """To a process that may be gone by itself."""
    if pid:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def kill_worker(site: Site, draw: random.Random) -> frozenset[int]:
    """kill -9, as the kernel does when memory runs out."""
    pid, held = _victim(site, draw)
    _signal(pid, signal.SIGKILL)
    return held


def terminate_worker(site: Site, draw: random.Random) -> frozenset[int]:
    """SIGTERM: it may finish what it holds, then gives it back."""
    pid, held = _victim(site, draw)
    _signal(pid, signal.SIGTERM)
    return held


def freeze_worker(site: Site, draw: random.Random) -> frozenset[int]:
    """Stopped for longer than its lease, so that others take its work; then it comes back and knows nothing of that."""
    pid, held = _victim(site, draw)
    _signal(pid, signal.SIGSTOP)
    time.sleep(site.settings.lease_s * draw.uniform(1.1, 1.8))
    _signal(pid, signal.SIGCONT)
    return held


def kill_all_workers(site: Site, draw: random.Random) -> frozenset[int]:
    """kill -9 of the supervisor: the kernel ends its workers with it."""
    held = site.running()
    _signal(site.supervisor_pid, signal.SIGKILL)
    time.sleep(draw.uniform(0.1, 0.5))
    return held


# -- Redis


def restart_redis(site: Site, draw: random.Random) -> frozenset[int]:
    """kill -9, and started again with its data."""
    site.redis.kill()
    time.sleep(draw.uniform(0.1, 1.5))
    site.redis.start()
    return NONE_HELD


def lose_redis(site: Site, draw: random.Random) -> frozenset[int]:
    """kill -9, and started again without its data."""
    site.redis.kill()
    site.redis.lose_data()
    time.sleep(draw.uniform(0.1, 1.5))
    site.redis.start()
    return NONE_HELD


def flush_redis(site: Site, draw: random.Random) -> frozenset[int]:
    """FLUSHALL."""
    site.redis.client.flushall()
    return NONE_HELD


def cut_redis(site: Site, draw: random.Random) -> frozenset[int]:
    """CLIENT KILL of every connection, some of them in the middle of a message."""
    for _ in range(draw.randint(1, 4)):
        for kind in ("normal", "pubsub"):
            site.redis.client.client_kill_filter(_type=kind, skipme=True)
        time.sleep(draw.uniform(0, 0.2))
    return NONE_HELD


def fill_redis(site: Site, draw: random.Random) -> frozenset[int]:
    """No memory left for a while; with noeviction every write is refused."""
    site.redis.client.config_set("maxmemory", 1)
    time.sleep(draw.uniform(0.3, 2.0))
    site.redis.client.config_set("maxmemory", 0)
    return NONE_HELD


def double_messages(site: Site, draw: random.Random) -> frozenset[int]:
    """Messages of the queue copied, and messages for jobs that may long be done."""
    queue = queue_name(site.settings.queue)
    waiting = site.redis.client.lrange(queue, 0, -1)
    for message in draw.sample(waiting, min(3, len(waiting))):
        site.redis.client.lpush(queue, message)
    rows = site.fetch(Job.id, Job.text)
    jobs = [ChunkJob(*row) for row in draw.sample(rows, min(24, len(rows)))]  # type: ignore[arg-type]
    _send(site, [Chunk(tuple(jobs[start : start + 8])) for start in range(0, len(jobs), 8)])
    return NONE_HELD


def send_garbage(site: Site, draw: random.Random) -> frozenset[int]:
    """Messages of a newer version, of another ledger, of another program; and what is no message at all."""
    job_ids = [row[0] for row in site.fetch(Job.id)]
    foreign = [ChunkJob(job_id, "user: a conversation of another ledger") for job_id in draw.sample(job_ids, 8)]
    _send(site, [Chunk(tuple(foreign))])
    newer = {"version": MESSAGE_VERSION + 1, "jobs": []}
    with create_app(site.settings) as app, suppress(Exception):
        app.send_task(TASK_NAME, args=[draw.choice([newer, "garbage", None, {"version": 1, "jobs": [1]}])], retry=False)
        app.send_task("another.program", args=[1], retry=False)
    for raw in draw.sample(RAW_GARBAGE, 2):
        site.redis.client.lpush(queue_name(site.settings.queue), raw)
    return NONE_HELD


#: What somebody else may push into the list that is the queue.
RAW_GARBAGE = [b"\xff\xfe no JSON", b"[]", b"{}", b"null", json.dumps({"body": "e30=", "properties": {}}).encode()]


def _send(site: Site, chunks: list[Chunk]) -> None:
    """Unless Redis is away."""
    broker = Broker(site.settings)
    with suppress(BrokerError):
        broker.send(chunks)
    broker.close()


# -- the database


def lock_sqlite(site: Site, draw: random.Random) -> frozenset[int]:
    """Another connection keeps the write lock."""
    other = sqlite3.connect(site.engine.url.database or "", isolation_level=None, timeout=30)
    other.execute("BEGIN IMMEDIATE")
    time.sleep(draw.uniform(0.5, 3.0))
    other.execute("ROLLBACK")
    other.close()
    return NONE_HELD


def stop_postgres(site: Site, draw: random.Random) -> frozenset[int]:
    """As a crash, and started again."""
    assert site.postgres is not None
    site.postgres.crash()
    time.sleep(draw.uniform(0.1, 3.0))
    site.postgres.start()
    return NONE_HELD


def end_backends(site: Site, draw: random.Random) -> frozenset[int]:
    """pg_terminate_backend of whoever is in a transaction, several times."""
    busy = "pid <> pg_backend_pid() AND backend_type = 'client backend' AND state <> 'idle'"
    for _ in range(draw.randint(5, 30)):
        with suppress(DBAPIError), site.engine.connect() as connection:
            connection.execute(text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {busy}"))  # noqa: S608
        time.sleep(draw.uniform(0, 0.05))
    return NONE_HELD


KINDS = (
    Kind("worker: kill -9", Part.WORKER, kill_worker),
    Kind("worker: SIGTERM", Part.WORKER, terminate_worker),
    Kind("worker: frozen past its lease", Part.WORKER, freeze_worker),
    Kind("supervisor and all workers: kill -9", Part.WORKER, kill_all_workers),
    Kind("Redis: kill -9, data kept", Part.REDIS, restart_redis),
    Kind("Redis: kill -9, data lost", Part.REDIS, lose_redis),
    Kind("Redis: FLUSHALL", Part.REDIS, flush_redis),
    Kind("Redis: CLIENT KILL", Part.REDIS, cut_redis),
    Kind("Redis: full", Part.REDIS, fill_redis),
    Kind("messages doubled", Part.REDIS, double_messages),
    Kind("messages foreign or garbage", Part.REDIS, send_garbage),
    Kind("SQLite: locked", Part.DATABASE, lock_sqlite, "sqlite"),
    Kind("PostgreSQL: stopped", Part.DATABASE, stop_postgres, "postgresql"),
    Kind("PostgreSQL: backends ended", Part.DATABASE, end_backends, "postgresql"),
)
