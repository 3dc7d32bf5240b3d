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

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.exc import DBAPIError

from aftercall import schema
from aftercall.database import connect, reading
from aftercall.models import Job, JobState
from aftercall.processes import die_with_parent
from aftercall.settings import Settings
from bench.campaign.command import Command, start
from bench.campaign.night import Export
from tests.fixtures.breakable import BreakablePostgres, BreakableRedis

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
        self.folder = folder
        self.redis = BreakableRedis(folder / "redis")
        self.postgres = BreakablePostgres(folder / "postgres") if database == "postgresql" else None
        url = self.postgres.url if self.postgres else f"sqlite:///{folder / 'ledger.db'}"
        self.settings = Settings(
            data_dir=folder / "data", database_url=url, redis_url=self.redis.url, queue="campaign", **SHORT_TIMES
        )
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
        with self.log.open("a") as output:
            self._supervisor = subprocess.Popen(
                [sys.executable, "-m", "bench.campaign.workers", *self._workers],
                env={**os.environ, **self.settings.to_environment()},
                stdout=output,
                stderr=output,
                preexec_fn=die_with_parent(signal.SIGKILL),
            )

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
        if "Traceback" in said:
            self.witnessed.complaints.append(f"{command}: {said}")
        self.witnessed.exit_codes[f"{command.arguments[0]}: {code}"] += 1
        return code, said

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
        if self.postgres is not None:
            self.postgres.close()
