"""One worker process: a model, a Celery worker with a pool of threads, and the upkeep of the queue.

Run as `python -m worker.process --name NAME`; the supervisor does. Exits with an error's own code, so that the
supervisor can tell what a restart would mend from what it would not.
"""

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from typing import Any, Literal

import click
from celery import Celery, signals
from sqlalchemy import Engine

from aftercall import schema
from aftercall.broker import Broker, create_app
from aftercall.database import connect
from aftercall.errors import AftercallError
from aftercall.ledger.work import Lease
from aftercall.message import TASK_NAME, Chunk
from aftercall.settings import Settings, load_settings
from aftercall.sweep import Sweeper
from worker.lease import LeaseKeeper
from worker.served import Served
from worker.summarize import Summarizer
from worker.upkeep import Upkeep

logger = logging.getLogger(__name__)

CPU_THREADS = 8
#: Rule: chunk size x threads is at least twice the sequences that the engine holds, so that it never drains.
GPU_THREADS = 64

#: Left by the watchdog: the supervisor starts a fresh process.
EXIT_STUCK = 75


@click.command()
@click.option("--name", required=True, help="Name of this worker; it stands in the rows that it writes.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), required=True)
def main(name: str, device: Literal["cpu", "cuda"]) -> None:
    """Run one worker process until SIGTERM."""
    # Imported here: torch takes seconds, and what only needs the queue's side of a worker does without.
    from worker.serving import load_served

    def load(settings: Settings, database: Engine) -> Served:
        return load_served(settings, database, device)

    serve(name, load, CPU_THREADS if device == "cpu" else GPU_THREADS)


def serve(name: str, load: Callable[[Settings, Engine], Served], threads: int) -> None:
    """Run a worker on what `load` returns, and exit with the code that says how it ended."""
    logging.basicConfig(level=logging.INFO, format=f"%(asctime)s {name} %(levelname)s %(message)s")
    # Two lines a chunk would bury what matters.
    logging.getLogger("celery").setLevel(logging.WARNING)
    try:
        sys.exit(_run(load_settings(), name, load, threads))
    except AftercallError as error:
        click.echo(f"{name}: {error}", err=True)
        sys.exit(error.exit_code)


def _run(settings: Settings, name: str, load: Callable[[Settings, Engine], Served], threads: int) -> int:
    database = connect(settings.ledger_url)
    schema.check(database)
    broker = Broker(settings)
    broker.check()
    served = load(settings, database)
    leases = LeaseKeeper(database, Lease(f"{name}/{socket.gethostname()}/{os.getpid()}", settings.lease_s))
    summarizer = Summarizer(database, served, leases, settings, on_engine_lost=_shut_down)
    summarizer.replay_spool()
    upkeep = Upkeep(
        Sweeper(database, broker, settings),
        broker,
        lambda: leases.num_held,
        lambda: os._exit(EXIT_STUCK),
        settings.sweep_interval_s,
    )
    app = _create_worker_app(settings, summarizer)
    upkeep.start()
    try:
        return _consume(app, settings, name, settings.worker_threads or threads)
    finally:
        upkeep.stop()
        summarizer.stop()


def _shut_down() -> None:
    """Take no more messages, end when what is in hand has ended; the supervisor starts a fresh process."""
    os.kill(os.getpid(), signal.SIGTERM)


def _create_worker_app(settings: Settings, summarizer: Summarizer) -> Celery:
    app = create_app(settings)

    @app.task(name=TASK_NAME)  # type: ignore[untyped-decorator]
    def summarize(message: dict[str, Any]) -> None:
        summarizer.summarize(Chunk.from_message(message))

    @signals.worker_shutting_down.connect(weak=False)  # type: ignore[untyped-decorator]
    def limit_drain(**kwargs: object) -> None:
        # Celery waits for running chunks without limit; after the time limit the engine gives them back.
        timer = threading.Timer(settings.drain_timeout_s, summarizer.stop)
        timer.daemon = True
        timer.start()

    return app


def _consume(app: Celery, settings: Settings, name: str, threads: int) -> int:
    worker = app.Worker(
        pool="threads", concurrency=threads, hostname=f"{name}@{socket.gethostname()}", queues=[settings.queue],
        loglevel="WARNING", without_gossip=True, without_mingle=True,
    )  # fmt: skip
    worker.start()
    return int(worker.exitcode or 0)


if __name__ == "__main__":
    main()
