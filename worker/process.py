"""One worker process: a model, a Celery worker with a pool of threads, and the upkeep of the queue.

The supervisor runs it as `python -P -m worker.process --name NAME`. It exits with the error's own code, so that the
supervisor can tell whether a restart would help.
"""

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal, NoReturn

import click
from celery import Celery, signals
from celery.apps import worker as celery_worker
from celery.worker import state
from celery.worker.request import Request
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from aftercall import __version__, schema
from aftercall.broker import Broker, create_app
from aftercall.database_errors import advise, describe
from aftercall.errors import AftercallError, SettingsError
from aftercall.ledger.work import Lease
from aftercall.ledger.workers import WorkerRecord
from aftercall.logs import event, say_now, start_logging
from aftercall.message import MESSAGE_VERSION, TASK_NAME, Chunk, queue_name
from aftercall.notifier import Notifier
from aftercall.processes import safe_path_for_children
from aftercall.settings import Settings, load_settings
from aftercall.sweep import Sweeper
from worker.jobs.summarizer import Summarizer
from worker.serving.follower import AdapterFollower
from worker.serving.served import Served, Serving
from worker.upkeep.leases import LeaseKeeper
from worker.upkeep.periodic import Periodic
from worker.upkeep.presence import Presence
from worker.upkeep.sweep_loop import Upkeep

logger = logging.getLogger(__name__)

CPU_THREADS = 8
#: chunk_size x threads must be at least twice the engine's max_num_seqs, or the batch drains between chunks.
GPU_THREADS = 64

#: After the drain timeout: how long aborted chunks may take to come back. An engine's step can't be interrupted, and on
#: a busy CPU one takes minutes.
ABORT_GRACE_S = 5.0

#: How often a worker looks whether a submission has ended.
WEBHOOK_INTERVAL_S = 5.0

#: Exit code of a worker that is stuck; the supervisor starts a fresh process.
EXIT_STUCK = 75


@click.command()
@click.option("--name", required=True, help="Name of this worker, stored in the rows that it writes.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), required=True)
def main(name: str, device: Literal["cpu", "cuda"]) -> None:
    """Run one worker process until SIGTERM."""

    def load(settings: Settings, database: Engine) -> Served:
        # Imported here: torch takes seconds, and the scripted workers of the tests don't need it.
        from worker.serving.start import load_served

        return load_served(settings, database, device)

    with safe_path_for_children():
        serve(name, load, CPU_THREADS if device == "cpu" else GPU_THREADS)


def serve(name: str, load: Callable[[Settings, Engine], Served], threads: int) -> None:
    """Run a worker on what `load` returns, then exit with a code that says how it ended.

    Does not return, and skips the interpreter's own shutdown: that would end daemon threads in the middle of torch's
    C++ code, which aborts the process with "terminate called without an active exception".
    """
    # Until Celery installs its own handler, so that SIGTERM while the model loads is a clean exit too.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    try:
        settings = load_settings()
        start_logging(settings, name)
        code = _run(settings, name, load, threads)
    except SettingsError as error:
        click.echo(f"{name}: {error}", err=True)
        code = error.exit_code
    except AftercallError as error:
        logger.error("%s", error, extra=event("worker_refused", exit_code=error.exit_code))
        code = error.exit_code
    except SystemExit as stopped:
        code = int(stopped.code or 0)
    except BaseException:
        logger.exception("this worker ends after an unexpected error", extra=event("worker_crashed"))
        code = 1
    _exit(code)


def _exit(code: int) -> NoReturn:
    """End the process without the interpreter's shutdown; what was logged and printed is out."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _run(settings: Settings, name: str, load: Callable[[Settings, Engine], Served], threads: int) -> int:
    broker = Broker(settings)
    lease = Lease(f"{name}/{socket.gethostname()}/{os.getpid()}", settings.lease_s)
    ledger = schema.open_ledger(settings, answer_timeout_s=settings.database_timeout_s)
    with ledger as database, Presence(database, _record(lease.owner, settings)) as presence:
        broker.check()
        # Checked again, now that a migration would see this worker: one may have finished just before.
        schema.check(database)
        served = load(settings, database)
        presence.serve(served.provenance)
        adapter = served.provenance.adapter_digest or "none"
        logger.info(
            "serving %s, adapter %s, %s",
            served.provenance.base_model,
            adapter,
            served.provenance.held,
            extra=event("serving", base_model=served.provenance.base_model, adapter=adapter),
        )
        leases = LeaseKeeper(database, lease)
        serving = Serving(served)
        summarizer = Summarizer(
            database,
            serving,
            leases,
            settings,
            on_engine_lost=_shut_down,
            # Its threads hang with it, so there is nothing to wait for.
            on_engine_hung=lambda: os._exit(EXIT_STUCK),
        )
        summarizer.replay_spool()
        follower = AdapterFollower(serving, database, presence.serve, _shut_down, settings.sweep_interval_s)
        with _kept_up(settings, database, broker, leases, summarizer), follower:
            abandon = partial(_abandon, leases)
            return _consume(settings, name, summarizer, settings.worker_threads or threads, abandon)


def _record(owner: str, settings: Settings) -> WorkerRecord:
    return WorkerRecord(
        owner, __version__, MESSAGE_VERSION, schema.head(), settings.base_model, None, queue=settings.queue
    )


@contextmanager
def _kept_up(
    settings: Settings, database: Engine, broker: Broker, leases: LeaseKeeper, summarizer: Summarizer
) -> Iterator[None]:
    """Sweep, and check that this worker keeps consuming, while the block runs."""
    upkeep = Upkeep(
        Sweeper(database, broker, settings),
        broker,
        num_held=lambda: leases.num_held + summarizer.num_waiting,
        num_done=lambda: summarizer.num_done,
        on_stuck=lambda: os._exit(EXIT_STUCK),
        interval_s=settings.sweep_interval_s,
    )
    notifying = Periodic("webhook", Notifier(database, settings).poll, WEBHOOK_INTERVAL_S)
    upkeep.start()
    if settings.webhook_url:
        notifying.start()
    try:
        yield
    finally:
        upkeep.stop()
        notifying.stop()


def _shut_down() -> None:
    """Take no more messages and exit when the held chunks are finished; the supervisor starts a fresh process."""
    os.kill(os.getpid(), signal.SIGTERM)


class _PrivateRequest(Request):  # type: ignore[misc]
    """A message in progress. `celery inspect` and Flower are told how many conversations it has, not their words."""

    def info(self, safe: bool = False) -> dict[str, Any]:
        """What monitors are shown; Celery's own answer quotes the arguments unless it is asked not to."""
        answer: dict[str, Any] = super().info(safe=True)
        return answer


def _create_worker_app(settings: Settings, summarizer: Summarizer, abandon: Callable[[], None]) -> Celery:
    app = create_app(settings)
    # What Celery prints when it is told to stop becomes a line like the others.
    celery_worker.safe_say = lambda said, file=None: say_now(said, name="stopping")
    last_s = settings.drain_timeout_s + ABORT_GRACE_S

    @app.task(name=TASK_NAME, Request=_PrivateRequest)  # type: ignore[untyped-decorator]
    def summarize(message: dict[str, Any]) -> None:
        try:
            summarizer.summarize(Chunk.from_message(message))
        except DBAPIError as error:
            # In one line: the traceback that Celery logs would quote the statement. Nothing is lost, as leases expire.
            said, advice = describe(error), advise(error)
            logger.error("the database refuses (%s): a chunk is given up, %s", said, advice, extra=event("chunk_lost"))

    @signals.worker_shutting_down.connect(weak=False)  # type: ignore[untyped-decorator]
    def limit_drain(**kwargs: object) -> None:
        summarizer.stop_waiting()
        # Celery waits for running chunks without a limit. After ours, the engine gives them back untried.
        for delay_s, action in ((settings.drain_timeout_s, summarizer.stop), (last_s, abandon)):
            timer = threading.Timer(delay_s, action)
            timer.daemon = True
            timer.start()

    return app


def _abandon(leases: LeaseKeeper) -> None:
    """Give the held jobs back untried and end the process, whatever its threads are doing."""
    num_held = leases.num_held
    logger.warning(
        "the engine does not stop in time: %d conversations go back to the queue",
        num_held,
        extra=event("abandoned", conversations=num_held),
    )
    try:
        leases.release_all()
    finally:
        _exit(0)


def _consume(settings: Settings, name: str, summarizer: Summarizer, threads: int, abandon: Callable[[], None]) -> int:
    """Take messages until SIGTERM and return the exit code."""
    worker = _create_worker_app(settings, summarizer, abandon).Worker(
        pool="threads", concurrency=threads, hostname=f"{name}@{socket.gethostname()}",
        queues=[queue_name(settings.queue)], loglevel="WARNING", quiet=True, without_gossip=True, without_mingle=True,
    )  # fmt: skip
    try:
        worker.start()
    finally:
        summarizer.stop()
    # Celery's exit code is 1 after Ctrl-C, too. Any other 1 is an error in its own loop, which a restart fixes.
    is_told_to_stop = state.should_stop is not None
    return EXIT_STUCK if worker.exitcode and not is_told_to_stop else 0


if __name__ == "__main__":
    main()
