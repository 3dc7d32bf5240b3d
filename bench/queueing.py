"""Queue and ledger alone: conversations/s from a CSV file through ledger, Valkey, claim and complete.

python -m bench.queueing                     # SQLite, then PostgreSQL from its wheel
python -m bench.queueing --workers 2 --num-conversations 50000

The workers are real Celery processes whose engine answers at once. They are up and idle when the clock starts; it
stops when the last summary is committed.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sqlalchemy import Engine

from aftercall import schema
from aftercall.broker import Broker, create_app
from aftercall.database import connect
from aftercall.embedded import embedded_broker
from aftercall.ledger import account
from aftercall.settings import Settings
from aftercall.sweep import Sweeper
from bench.generate import write_export
from bench.postgres import postgres
from producer.source import open_source
from producer.submit import submit


@contextmanager
def workers(settings: Settings, num_workers: int, num_threads: int) -> Iterator[None]:
    """Worker processes that are ready for work."""
    command = [sys.executable, "-m", "tests.fixtures.scripted_worker", "--threads", str(num_threads)]
    with ExitStack() as stack:
        for number in range(num_workers):
            worker = stack.enter_context(
                subprocess.Popen(
                    [*command, "--name", f"bench-{number}"],
                    env={**os.environ, **settings.to_environment()},
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            )
            stack.callback(worker.terminate)
        with create_app(settings) as app:
            while len(app.control.ping(timeout=0.5)) < num_workers:
                pass
        yield


def run(source: Path, database: Engine, settings: Settings) -> tuple[float, float]:
    """Submit a source and wait for its last summary; the seconds of both."""
    broker = Broker(settings)
    began = time.perf_counter()
    with open_source(str(source)) as opened:
        report = submit(opened, database, Sweeper(database, broker, settings), source.with_suffix(".rejected.csv"))
    submitted_s = time.perf_counter() - began
    while account.account(database, report.submission_id).open:
        time.sleep(0.2)
    elapsed_s = time.perf_counter() - began
    broker.close()
    standing = account.account(database, report.submission_id)
    if standing.done != report.num_read:
        raise SystemExit(f"not every conversation is done: {standing}")
    return submitted_s, elapsed_s


def measure(database_url: str, folder: Path, options: argparse.Namespace) -> None:
    """One database: servers, workers, one timed run, a line of figures."""
    source = write_export(folder / "generated.csv", options.num_conversations)
    with embedded_broker(folder) as redis_url:
        settings = Settings(
            data_dir=folder, database_url=database_url, redis_url=redis_url, chunk_size=options.chunk_size
        )
        database = connect(database_url)
        schema.upgrade(database)
        with workers(settings, options.workers, options.threads):
            submitted_s, elapsed_s = run(source, database, settings)
        database.dispose()
    num = options.num_conversations
    print(
        f"{database.dialect.name:>10}: {num:,} conversations in {elapsed_s:.1f} s, {num / elapsed_s:,.0f}/s "
        f"(submitted in {submitted_s:.1f} s; {options.workers} workers x {options.threads} threads, "
        f"chunks of {options.chunk_size}), load {os.getloadavg()[0]:.1f}"
    )


def main() -> None:
    """Measure both databases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num-conversations", type=int, default=40_000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--chunk-size", type=int, default=32)
    parser.add_argument("--database", choices=["sqlite", "postgresql", "both"], default="both")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aftercall-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        if options.database != "postgresql":
            measure(f"sqlite:///{folder / 'aftercall.db'}", folder, options)
        if options.database != "sqlite":
            measure(stack.enter_context(postgres(folder)), folder, options)


if __name__ == "__main__":
    main()
