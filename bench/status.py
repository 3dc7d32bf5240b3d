"""How long `aftercall status`, `status --latest` and the JSON of both take in a large ledger, in CPU and wall seconds.

python -m bench.status                        # 1,000,000 conversations in four submissions, SQLite
python -m bench.status --size 200000 --postgres
"""

import argparse
import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter, process_time

from sqlalchemy import Connection, Engine, text

from aftercall import schema
from aftercall.database import connect
from aftercall.ledger import account, pace
from bench.postgres import postgres
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
INSERT INTO submission (id, name, source_digest, num_rejected, created_at, read_at)
VALUES (:id, :name, :digest, 0, 1.0, 1.5)
"""
_JOBS = """
INSERT INTO job (id, job_key, text, cleaner_version, state, attempts, sent_at, visible_at, created_at, finished_at)
{numbers} SELECT i, 'key' || i, :turns, '1', CASE WHEN i % 100 = 0 THEN 'failed' ELSE 'done' END, 1, 1.0, 0.0, 1.0,
2.0 + i FROM n
"""
_PLACES = """
INSERT INTO submission_job (submission_id, external_id, position, job_id)
{numbers} SELECT 1 + (i - 1) * :parts / :num, 'c' || i, i, i FROM n
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


def measure(what: str, call: Callable[[], object]) -> None:
    """Print the best of some runs. The CPU is this process's: all of it on SQLite, a client's on PostgreSQL."""
    best_cpu_s = best_s = float("inf")
    for _ in range(NUM_RUNS):
        began, cpu_began = perf_counter(), process_time()
        call()
        best_cpu_s = min(best_cpu_s, process_time() - cpu_began)
        best_s = min(best_s, perf_counter() - began)
    print(f"  {what:<28} {best_cpu_s:7.3f} s CPU {best_s:8.3f} s wall", flush=True)


def run(url: str, num: int) -> None:
    """Fill one database and measure."""
    database = connect(url)
    schema.upgrade(database)
    began = perf_counter()
    fill(database, num)
    load = os.getloadavg()[0]
    print(f"{database.dialect.name}, {num:,} conversations, filled in {perf_counter() - began:.0f} s, load {load:.1f}")
    measure("status", lambda: read_standings(database))
    measure("status --latest", lambda: read_standings(database, [latest(database)]))
    measure("  its accounts", lambda: account.accounts(database))
    measure("  its accounts and spans", lambda: pace.tallies(database))
    measure("  its pace", lambda: pace.pace(database))
    database.dispose()


def main() -> None:
    """Measure on the database asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=1_000_000, help="conversations")
    parser.add_argument("--postgres", action="store_true", help="on PostgreSQL instead of SQLite")
    given = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = stack.enter_context(postgres(folder)) if given.postgres else f"sqlite:///{folder}/aftercall.db"
        run(url, given.size)


if __name__ == "__main__":
    main()
