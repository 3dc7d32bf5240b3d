"""How long `status`, `doctor`, `export` and `cancel` take in a large ledger, in CPU and wall seconds.

Status is measured three times: with everything done, with everything waiting, and with one submission cancelled.

python -m bench.status                        # 1,000,000 conversations in four submissions, SQLite
python -m bench.status --size 200000 --postgres
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter, process_time

from sqlalchemy import Connection, Engine, text

from aftercall import schema
from aftercall.database import connect
from aftercall.ledger import account, control
from bench.postgres import postgres
from bench.purge import bystander
from producer.doctor import ledger as doctor
from producer.standing import latest, read_standings

NUM_SUBMISSIONS = 4
NUM_RUNS = 3

#: As long as a conversation of a support floor.
TURNS = "user: my order did not arrive\nagent: I am sorry to hear that\n" * 12
SUMMARY = "A customer's order did not arrive; the agent is sorry and looks at it. " * 3

_NUMBERS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :num)",
    "postgresql": "WITH n(i) AS (SELECT generate_series(1, :num))",
}

_SUBMISSION = """
INSERT INTO submission (id, name, source_digest, num_rejected, created_at, read_at, priority, next_turn)
VALUES (:id, :name, :digest, 0, 1.0, 1.5, 1, 0)
"""
_JOBS = """
INSERT INTO job (id, job_key, text, cleaner_version, state, attempts, sent_at, visible_at, created_at, finished_at,
submission_id, priority, turn)
{numbers} SELECT i, 'key' || i, :turns, '1', CASE WHEN i % 100 = 0 THEN 'failed' ELSE 'done' END, 1, 1.0, 0.0, 1.0,
2.0 + i, 1 + (i - 1) * :parts / :num, 1, i / 1000 * 1000 FROM n
"""
_PLACES = """
INSERT INTO submission_job (submission_id, external_id, position, job_id, is_guest)
{numbers} SELECT 1 + (i - 1) * :parts / :num, 'c' || i, i, i, false FROM n
"""
_SUMMARIES = """
INSERT INTO summary (job_id, adapter_digest, text, base_model, quantization, compute_dtype, prompt_version,
cleaner_version, generation, num_prompt_tokens, num_completion_tokens, finish_reason, coverage, duration_s, worker,
created_at)
{numbers} SELECT i, '', :summary, 'base', 'none', 'float32', '1', '1', '{{}}', 300, 40, 'stop', 1.0, 0.5,
'worker' || i % 4, 2.0 + i FROM n WHERE i % 100 > 0
"""


def fill(database: Engine, num: int) -> None:
    """Submissions of one size, nearly all of whose conversations are done."""
    numbers = _NUMBERS[database.dialect.name]
    with database.begin() as connection:
        for each in range(1, NUM_SUBMISSIONS + 1):
            row = {"id": each, "name": f"night-{each}.csv", "digest": str(each)}
            connection.execute(text(_SUBMISSION), row)
        for statement in (_JOBS, _PLACES, _SUMMARIES):
            values = {"num": num, "turns": TURNS, "parts": NUM_SUBMISSIONS, "summary": SUMMARY}
            used = {name: value for name, value in values.items() if f":{name}" in statement + numbers}
            connection.execute(text(statement.format(numbers=numbers)), used)
    with database.connect() as connection:
        _analyze(connection)


def _analyze(connection: Connection) -> None:
    """As autovacuum does by itself, on PostgreSQL; SQLite has no figures unless somebody asks."""
    if connection.dialect.name == "postgresql":
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("VACUUM ANALYZE"))


def measure(what: str, call: Callable[[], object], num_runs: int = NUM_RUNS) -> None:
    """Print the best of some runs. The CPU is this process's: all of it on SQLite, a client's on PostgreSQL."""
    best_cpu_s = best_s = float("inf")
    for _ in range(num_runs):
        began, cpu_began = perf_counter(), process_time()
        call()
        best_cpu_s = min(best_cpu_s, process_time() - cpu_began)
        best_s = min(best_s, perf_counter() - began)
    print(f"  {what:<28} {best_cpu_s:7.3f} s CPU {best_s:8.3f} s wall", flush=True)


def run(url: str, num: int, folder: Path) -> None:
    """Fill one database and measure."""
    database = connect(url)
    schema.upgrade(database)
    began = perf_counter()
    fill(database, num)
    load = os.getloadavg()[0]
    print(f"{database.dialect.name}, {num:,} conversations, filled in {perf_counter() - began:.0f} s, load {load:.1f}")
    measure_status(database)
    measure("the rows counted", lambda: account.recount(database))
    measure("doctor, of the ledger", lambda: list(doctor.findings(database)))
    measure("doctor --thorough", lambda: list(doctor.findings(database, is_thorough=True)), num_runs=1)
    with database.begin() as connection:
        connection.execute(text("UPDATE submission_job SET submission_id = 1"))
        connection.execute(text("UPDATE job SET submission_id = 1"))
    measure_export(url, folder)
    with database.begin() as connection:
        connection.execute(text("DELETE FROM summary"))
        connection.execute(text("UPDATE job SET state = 'queued', sent_at = NULL, finished_at = NULL"))
    with database.connect() as connection:
        _analyze(connection)
    print("all of it in one submission, all waiting:")
    measure_status(database)
    with bystander(database) as waits:
        measure("cancel", lambda: control.cancel(database, 1), num_runs=1)
    print(f"  submits of one conversation meanwhile: {len(waits)}, the longest took {max(waits, default=0):.2f} s")
    database.dispose()


#: A process inherits the peak memory of the one that starts it, so a small one stands in between.
_MEASURED = """
import os, resource, sys
code = os.spawnv(os.P_WAIT, sys.argv[1], sys.argv[1:])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(f"{used.ru_utime + used.ru_stime:.3f} s CPU, {used.ru_maxrss // 1024} MiB at most, exit code {code}")
"""


def measure_export(url: str, folder: Path) -> None:
    """The command in a process of its own, so that its memory can be told."""
    export = ["-m", "aftercall", "export", "1", "--out", str(folder / "out.csv")]
    environment = os.environ | {"AFTERCALL_DATABASE_URL": url}
    began = perf_counter()
    command = [sys.executable, "-c", _MEASURED, sys.executable, *export]
    told = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.splitlines()
    print(f"  {'export, CSV':<28} {told[-1]}, {perf_counter() - began:.3f} s wall", flush=True)


def measure_status(database: Engine) -> None:
    """The commands that people call most."""
    measure("status", lambda: read_standings(database))
    measure("status --latest", lambda: read_standings(database, [latest(database)]))


def main() -> None:
    """Measure on the database asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=1_000_000, help="conversations")
    parser.add_argument("--postgres", action="store_true", help="on PostgreSQL instead of SQLite")
    given = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = stack.enter_context(postgres(folder)) if given.postgres else f"sqlite:///{folder}/aftercall.db"
        run(url, given.size, folder)


if __name__ == "__main__":
    main()
