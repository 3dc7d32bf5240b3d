"""Where the campaign takes place: servers that can be broken, workers under the real supervisor, the real commands.

Knows no fault and no verdict. Linux only: worker processes are found through /proc.
"""

import logging
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from sqlalchemy import ColumnElement, func, make_url, select
from sqlalchemy.exc import DBAPIError

from aftercall import schema
from aftercall.database import connect, reading
from aftercall.models import Job, JobState
from aftercall.processes import die_with_parent
from aftercall.settings import Settings
from bench.campaign.command import Command, start
from bench.campaign.night import Export
from tests.fixtures.breakable import BreakablePostgres, BreakableRedis
from tests.fixtures.cutting_proxy import CuttingProxy

#: Short, so that a night's worth of recoveries fits into a minute. More attempts than faults are likely to take.
SHORT_TIMES = {
    "lease_s": 2.0,
    "lost_after_s": 1.0,
    "sweep_interval_s": 0.3,
    "retry_delay_s": 0.1,
    "drain_timeout_s": 1.0,
    "max_attempts": 7,
    "chunk_size": 8,
    "window": 400,
}

#: Where the packages are; the workers run in another folder.
ROOT = Path(__file__).parents[2]

#: Modules that a folder of exports may have files named like.
TRAPS = ("celery", "click", "json", "kombu", "multiprocessing", "producer", "redis", "sqlalchemy", "torch", "worker")

#: No command may take longer, whatever is broken while it runs.
COMMAND_TIMEOUT_S = 120


@dataclass(slots=True)
class Witnessed:
    """What must not happen on the way, and how the commands ended."""

    complaints: list[str] = field(default_factory=list)
    exit_codes: Counter[str] = field(default_factory=Counter)


class Site:
    """Servers, ledger, workers and commands of one seed."""

    def __init__(self, folder: Path, database: str, num_workers: int, call_s: float) -> None:
        self.folder = folder = folder.resolve()
        self.redis = BreakableRedis(folder / "redis")
        self.postgres = BreakablePostgres(folder / "postgres") if database == "postgresql" else None
        url = self.postgres.url if self.postgres else f"sqlite:///{folder / 'ledger.db'}"
        self.settings = Settings(
            data_dir=folder / "data", database_url=url, redis_url=self.redis.url, queue="campaign", **SHORT_TIMES
        )
        #: Between the workers and PostgreSQL.
        self.proxy = CuttingProxy(self.postgres.socket) if self.postgres else None
        #: The workers' folder, full of files that are named like modules, and what they write when they are imported.
        self.traps = folder / "code"
        self.marker = folder / "imported"
        self.traps.mkdir()
        for name in TRAPS:
            self.set_trap(name)
        self.engine = connect(url)
        # The pool says at error level what every stopped server makes it say.
        logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
        schema.upgrade(self.engine)
        self.calls = folder / "calls"
        self.log = folder / "workers.log"
        self.witnessed = Witnessed()
        #: Exports whose submission was begun: all of them have to be in the ledger at the end.
        self.begun: list[Export] = []
        self._workers = ["--num-workers", str(num_workers), "--calls", str(self.calls), "--call-s", str(call_s)]
        self._numbers = count()
        self._supervisor: subprocess.Popen[bytes] | None = None

    # -- workers

    def keep_workers(self) -> None:
        """Start the supervisor, again if it is gone, as systemd would. From the main thread: with it they die."""
        if self._supervisor is not None and self._supervisor.poll() is None:
            return
        self._supervisor = self.start_supervisor()

    def start_supervisor(self) -> "subprocess.Popen[bytes]":
        """Start workers under a supervisor of their own."""
        environment = {**os.environ, **self._worker_settings().to_environment(), "PYTHONPATH": str(ROOT)}
        with self.log.open("a") as output:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", "bench.campaign.workers", *self._workers],
                cwd=self.traps,
                env=environment,
                stdout=output,
                stderr=output,
                preexec_fn=die_with_parent(signal.SIGKILL),
            )

    def set_trap(self, name: str) -> None:
        """Put a module into the workers' folder that tells that it was imported."""
        trap = f"open({str(self.marker)!r}, 'a').write(__name__ + '\\n')\nraise ImportError('a trap')\n"
        (self.traps / f"{name}.py").write_text(trap)

    def _worker_settings(self) -> Settings:
        """Those of the commands, with PostgreSQL behind the proxy."""
        if self.proxy is None:
            return self.settings
        query = {"sslmode": "disable", "connect_timeout": "2"}
        url = make_url(self.settings.database_url).set(host="127.0.0.1", port=self.proxy.port, query=query)
        update = {"database_url": url.render_as_string(hide_password=False), "database_timeout_s": 2.0}
        return self.settings.model_copy(update=update)

    @property
    def supervisor_pid(self) -> int:
        """The supervisor's process."""
        assert self._supervisor is not None
        return self._supervisor.pid

    def worker_pids(self) -> list[int]:
        """The workers' processes."""
        children = Path(f"/proc/{self.supervisor_pid}/task/{self.supervisor_pid}/children")
        try:
            return [int(pid) for pid in children.read_text().split()]
        except OSError:
            return []

    def stop_workers(self) -> None:
        """Ask the supervisor to end, as an operator does; it has to come to an end by itself."""
        assert self._supervisor is not None
        self._supervisor.terminate()
        try:
            if code := self._supervisor.wait(60):
                self.witnessed.complaints.append(f"the supervisor ended with exit code {code}")
        except subprocess.TimeoutExpired:
            self.witnessed.complaints.append("the supervisor did not end on SIGTERM")

    # -- the ledger, as somebody sees it who is not of the product

    def running(self, pid: int | None = None) -> frozenset[int]:
        """The jobs that workers, or one of them, hold; none if the database is away."""
        is_held = Job.state == JobState.RUNNING
        if pid is not None:
            is_held &= Job.lease_owner.endswith(f"/{pid}")
        try:
            with reading(self.engine) as connection:
                return frozenset(connection.execute(select(Job.id).where(is_held)).scalars())
        except DBAPIError:
            return frozenset()

    def num_by_state(self) -> Counter[str] | None:
        """How many jobs stand where; None while the database is away."""
        try:
            with reading(self.engine) as connection:
                query = select(Job.state, func.count()).group_by(Job.state)
                return Counter(dict(connection.execute(query).all()))
        except DBAPIError:
            return None

    def fetch(self, *columns: ColumnElement[object]) -> list[tuple[object, ...]]:
        """A query's rows, once the database is there."""
        deadline = time.monotonic() + COMMAND_TIMEOUT_S
        while True:
            try:
                with reading(self.engine) as connection:
                    return [tuple(row) for row in connection.execute(select(*columns))]
            except DBAPIError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    # -- commands

    def start_command(self, *arguments: str, kill_point: str = "") -> Command:
        """Start a command as a person does."""
        number = next(self._numbers)
        return start(arguments, self.settings.to_environment(), self.folder / f"command-{number}.stderr", kill_point)

    def finish_command(self, command: Command) -> tuple[int | None, str]:
        """Exit code and message of a command; what it must not do is noted."""
        code, said = command.finish(COMMAND_TIMEOUT_S)
        if code is None:
            self.witnessed.complaints.append(f"{command}: no end within {COMMAND_TIMEOUT_S} s")
        self.note_end(str(command), code, said)
        return code, said

    def note_end(self, command: str, code: int | None, said: str) -> None:
        """Count how a command ended, and note a traceback."""
        if "Traceback" in said:
            self.witnessed.complaints.append(f"{command}: {said}")
        self.witnessed.exit_codes[f"{command.split()[0]}: {code}"] += 1

    def run_until_done(self, *arguments: str) -> None:
        """Run a command, again and again as a person would, until it ends well."""
        deadline = time.monotonic() + COMMAND_TIMEOUT_S
        while time.monotonic() < deadline:
            code, said = self.finish_command(self.start_command(*arguments))
            # Committed, and to be sent by the next worker that reaches Redis: nobody has to come back for that.
            if code == 0 or (code == 6 and "is committed" in said):
                return
            time.sleep(0.2)
        self.witnessed.complaints.append(f"{' '.join(arguments)}: never ended well; last {code}: {said}")

    def close(self) -> None:
        """End everything for good."""
        if self._supervisor is not None and self._supervisor.poll() is None:
            for pid in [*self.worker_pids(), self.supervisor_pid]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._supervisor.wait()
        self.engine.dispose()
        self.redis.close()
        if self.proxy is not None:
            self.proxy.close()
        if self.postgres is not None:
            self.postgres.close()
