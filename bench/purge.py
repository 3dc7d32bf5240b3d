"""Purging: conversations/s of `aftercall purge`, and how long a submit of one conversation waits meanwhile.

python -m bench.purge                        # 100,000 conversations, SQLite and PostgreSQL
python -m bench.purge 1000000
"""

import argparse
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter

from sqlalchemy import Engine

from aftercall import schema
from aftercall.database import connect
from aftercall.ledger import delivery, intake, work
from bench.postgres import postgres
from producer import purge

BATCH = 1_000
LEASE = work.Lease("bench", ttl_s=600.0)
#: As long as a conversation of a support floor.
TEXT = "user: my order {} did not arrive\nagent: I am sorry to hear that\n" * 12
SUMMARY = "A customer's order did not arrive; the agent is sorry and looks at it. " * 3
#: Between two conversations of the bystander.
PERIOD_S = 0.02


def fill(database: Engine, num_conversations: int) -> None:
    """One submission, every conversation of which has its summary."""
    submission_id = intake.open_submission(database, "old.csv", "old")
    for start in range(0, num_conversations, BATCH):
        intake.add_jobs(database, submission_id, [new_job(number) for number in range(start, start + BATCH)])
        job_ids = [unsent.job.job_id for unsent in delivery.unsent(database, BATCH)]
        work.complete(database, [summary(job.job_id) for job in work.claim(database, job_ids, LEASE, 3)])
    intake.close_submission(database, submission_id, num_rejected=0)


def new_job(number: int) -> intake.NewJob:
    """A conversation of its own."""
    text = TEXT.format(number, *range(11))
    return intake.NewJob(str(number), number, text, intake.make_job_key(text, "1"), "1", is_sufficient=True)


def summary(job_id: int) -> work.SummaryRecord:
    """As long as most are."""
    return work.SummaryRecord(
        job_id, "", SUMMARY, "base", "none", "float32", "1", "1", "{}", 300, 40, "stop", 1.0, 0.5, "bench"
    )


@contextmanager
def bystander(database: Engine) -> Iterator[list[float]]:
    """Submits one conversation after the other; yields how long each took, in seconds."""
    waits: list[float] = []
    is_over = threading.Event()
    submission_id = intake.open_submission(database, "new.csv", "new")

    def submit() -> None:
        number = -1
        while not is_over.wait(PERIOD_S):
            began = perf_counter()
            intake.add_jobs(database, submission_id, [new_job(number)])
            waits.append(perf_counter() - began)
            number -= 1

    thread = threading.Thread(target=submit)
    thread.start()
    try:
        yield waits
    finally:
        is_over.set()
        thread.join()


def measure(name: str, url: str, num_conversations: int) -> None:
    """One database and one size: fill, purge, print."""
    database = connect(url)
    schema.upgrade(database)
    fill(database, num_conversations)
    began = perf_counter()
    plan = purge.plan_older(database, 0.0)
    planned_s = perf_counter() - began
    with bystander(database) as waits:
        began = perf_counter()
        purge.delete(database, plan)
        elapsed_s = perf_counter() - began
    database.dispose()
    print(
        f"{name:>10}, {num_conversations:>9,} conversations: counted in {planned_s:.1f} s, "
        f"deleted in {elapsed_s:.1f} s ({num_conversations / elapsed_s:,.0f}/s); {len(waits)} submits of one meanwhile "
        f"took {1e3 * median(waits):.0f} ms (median), {1e3 * max(waits):.0f} ms (worst); load {os.getloadavg()[0]:.1f}"
    )


def main() -> None:
    """Measure each size asked for on both databases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", type=int, nargs="*", default=[100_000])
    for num_conversations in parser.parse_args().sizes:
        with tempfile.TemporaryDirectory() as folder:
            measure("SQLite", f"sqlite:///{folder}/aftercall.db", num_conversations)
            with postgres(Path(folder)) as url:
                measure("PostgreSQL", url, num_conversations)


if __name__ == "__main__":
    main()
