"""What a dying worker costs: seconds until its conversations are done elsewhere, and conversations/s while workers die.

python -m bench.recovery                                          # SQLite; leases of 120 s (the default) and 10 s
python -m bench.recovery --database postgresql --num-kills 5 --seconds 60

Worker processes, Celery, Valkey and ledger are real, the engine is scripted. What is measured:

- kill: from kill -9 of a worker until the last of the 32 conversations that it held is done, by the database's clock.
  Other workers are there and idle; the kills are spread over the time between two heartbeats.
- rate: summaries committed a second, in a window without deaths and in the next one, of the same workers under the same
  supervisor with its own restart delays, in which each ten seconds one is killed that holds work. What the dead held
  comes back when its lease runs out, so with the default lease not in that window.
"""

import argparse
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, func, select

from aftercall import schema
from aftercall.database import connect, reading
from aftercall.embedded import embedded_broker
from aftercall.models import Job, JobState
from aftercall.settings import Settings
from bench.generate import write_export
from bench.postgres import postgres
from tests.fixtures.workers import ScriptedWorker, WorkerStarter, submit_file, wait_until

CHUNK_SIZE = 32
DEATH_INTERVAL_S = 10.0
#: Kept open for reconnections, restarts and the last sweep after a lease has run out.
MARGIN_S = 60.0


@contextmanager
def ledger(kind: str) -> Iterator[tuple[Path, Engine, Settings]]:
    """A fresh ledger and queue with the default settings."""
    with tempfile.TemporaryDirectory(prefix="aftercall-recovery-") as name, embedded_broker(Path(name)) as redis_url:
        folder = Path(name)
        if kind == "sqlite":
            yield _opened(folder, redis_url, f"sqlite:///{folder / 'aftercall.db'}")
            return
        with postgres(folder) as url:
            yield _opened(folder, redis_url, url)


def _opened(folder: Path, redis_url: str, database_url: str) -> tuple[Path, Engine, Settings]:
    engine = connect(database_url)
    schema.upgrade(engine)
    settings = Settings(data_dir=folder, database_url=database_url, redis_url=redis_url, chunk_size=CHUNK_SIZE)
    return folder, engine, settings


# -- kill


def measure_kills(kind: str, lease_s: float, num_kills: int) -> list[float]:
    """Seconds from each kill to the end of what that worker held."""
    with ledger(kind) as (folder, engine, settings):
        starter = WorkerStarter(settings.model_copy(update={"lease_s": lease_s}), folder)
        try:
            return _kill_each(starter, engine, num_kills)
        finally:
            for worker in starter.started:
                worker.kill()
            engine.dispose()


def _kill_each(starter: WorkerStarter, engine: Engine, num_kills: int) -> list[float]:
    victims = [starter("--threads", "1", is_held=True) for _ in range(num_kills)]
    submit_file(write_export(starter.folder / "night.csv", CHUNK_SIZE * num_kills), engine, starter.settings)
    wait_until(lambda: all(len(_held(engine, victim)) == CHUNK_SIZE for victim in victims), "a chunk with each", 120)
    for _ in range(2):
        starter("--call-s", "0.5")
    # Long enough for the others to be up, and for each victim to have sent a heartbeat.
    lease_s = starter.settings.lease_s
    time.sleep(max(10.0, lease_s / 4))
    killed = []
    for victim in victims:
        time.sleep(lease_s / 4 / num_kills)
        held = _held(engine, victim)
        killed.append((time.time(), held))
        victim.kill()
    wait_until(lambda: _num_done(engine) == CHUNK_SIZE * num_kills, "every conversation done", lease_s + MARGIN_S)
    return [_last_end(engine, held) - killed_at for killed_at, held in killed]


def _held(engine: Engine, worker: ScriptedWorker) -> frozenset[int]:
    return _held_by(engine, worker.process.pid)


def _held_by(engine: Engine, pid: int) -> frozenset[int]:
    query = select(Job.id).where(Job.state == JobState.RUNNING, Job.lease_owner.endswith(f"/{pid}"))
    with reading(engine) as connection:
        return frozenset(connection.execute(query).scalars())


def _last_end(engine: Engine, job_ids: frozenset[int]) -> float:
    with reading(engine) as connection:
        return float(connection.execute(select(func.max(Job.finished_at)).where(Job.id.in_(job_ids))).scalar_one())


def _num_done(engine: Engine) -> int:
    with reading(engine) as connection:
        return int(connection.execute(select(func.count()).where(Job.state == JobState.DONE)).scalar_one())


# -- rate


def measure_rates(kind: str, options: argparse.Namespace) -> tuple[float, float]:
    """Conversations a second in a quiet window and in one with deaths."""
    with ledger(kind) as (folder, engine, settings):
        per_s = options.workers * options.threads * CHUNK_SIZE / options.call_s
        source = write_export(folder / "night.csv", int(per_s * (2 * options.seconds + 10)))
        with _supervised(settings, folder, options) as supervisor:
            submit_file(source, engine, settings)
            wait_until(lambda: _num_done(engine) > per_s, "the first second's work", 120)
            quiet = _rate(engine, options.seconds, lambda: None)
            draw = random.Random(0)
            dying = _rate(engine, options.seconds, lambda: _kill_one(engine, supervisor, draw))
        engine.dispose()
    return quiet, dying


@contextmanager
def _supervised(settings: Settings, folder: Path, options: argparse.Namespace) -> Iterator[int]:
    """Workers under the supervisor; yields its pid."""
    command = [
        sys.executable, "-m", "bench.campaign.workers", "--restarts", "default", "--calls", str(folder / "calls"),
        "--num-workers", str(options.workers), "--threads", str(options.threads), "--call-s", str(options.call_s),
    ]  # fmt: skip
    with (folder / "workers.log").open("w") as log:
        process = subprocess.Popen(
            command, env={**os.environ, **settings.to_environment()}, stdout=log, stderr=log
        )  # fmt: skip
    try:
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _rate(engine: Engine, seconds: float, strike: Callable[[], None]) -> float:
    num_before, began = _num_done(engine), time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        strike()
        time.sleep(min(DEATH_INTERVAL_S, seconds - passed))
    return (_num_done(engine) - num_before) / (time.monotonic() - began)


def _kill_one(engine: Engine, supervisor: int, draw: random.Random) -> None:
    pids = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    busy = [int(pid) for pid in pids if _held_by(engine, int(pid))]
    if busy:
        os.kill(draw.choice(busy), signal.SIGKILL)


def main() -> None:
    """Print a line for each lease and one for the rates."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--num-kills", type=int, default=5, help="workers killed for each lease")
    parser.add_argument("--lease-s", type=float, action="append", help="may be given several times; default: 120, 10")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of each of the two windows")
    parser.add_argument("--workers", type=int, default=4, help="for the rates")
    parser.add_argument("--threads", type=int, default=2, help="for the rates: chunks that a worker holds at once")
    parser.add_argument("--call-s", type=float, default=1.0, help="for the rates: how long a chunk takes")
    options = parser.parse_args()
    for lease_s in options.lease_s or [120.0, 10.0]:
        times = measure_kills(options.database, lease_s, options.num_kills)
        print(
            f"{options.database}, lease {lease_s:g} s: done elsewhere {statistics.median(times):.1f} s after the kill "
            f"(median of {len(times)}), worst {max(times):.1f} s",
            flush=True,
        )
    quiet, dying = measure_rates(options.database, options)
    print(
        f"{options.database}, {options.workers} workers: {quiet:.0f} conversations/s, {dying:.0f} with one killed each "
        f"{DEATH_INTERVAL_S:g} s ({dying / quiet:.0%}), load {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    main()
