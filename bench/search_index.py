"""What the full-text index costs: conversations/s into the ledger and summaries/s, without it and with it.

python -m bench.search_index                 # 20,000 conversations, SQLite and PostgreSQL
python -m bench.search_index 100000 --sqlite
"""

import argparse
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

from sqlalchemy import Engine

from aftercall import schema
from aftercall.database import connect
from aftercall.ledger import delivery, erasure, intake, search, work
from aftercall.ledger.search import Scope
from bench.postgres import postgres

BATCH = 1_000
#: Summaries that a worker writes in one transaction.
CHUNK = 32
LEASE = work.Lease("bench", ttl_s=6_000.0)
#: Different words of a language, of a conversation and of a summary; drawn as often as words are in English.
VOCABULARY, LENGTH, SUMMARY_LENGTH = 30_000, 120, 35


def main() -> None:
    """Measure each database twice, in turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("num_conversations", nargs="?", type=int, default=20_000)
    parser.add_argument("--sqlite", action="store_true", help="SQLite alone")
    parser.add_argument("--repeats", type=int, default=2)
    arguments = parser.parse_args()
    texts = make_texts(arguments.num_conversations)
    with tempfile.TemporaryDirectory() as folder:
        for repeat in range(arguments.repeats):
            for is_indexed in (False, True):
                path = Path(folder) / f"{repeat}-{is_indexed}.db"
                measure(f"sqlite:///{path}", texts, is_indexed=is_indexed)
                print(f"  file: {path.stat().st_size / 1e6:,.0f} MB", flush=True)
        if not arguments.sqlite:
            for repeat in range(arguments.repeats):
                for is_indexed in (False, True):
                    place = Path(folder) / f"server-{repeat}-{is_indexed}"
                    place.mkdir()
                    with postgres(place) as url:
                        measure(url, texts, is_indexed=is_indexed)


def make_texts(number: int) -> list[tuple[str, str]]:
    """Conversations and their summaries."""
    draw = random.Random(0)
    words = ["".join(draw.choices("etaoinshrdlu", k=draw.randint(2, 10))) for _ in range(VOCABULARY)]
    weights = [1 / (rank + 3) for rank in range(VOCABULARY)]
    drawn = draw.choices(words, weights, k=number * (LENGTH + SUMMARY_LENGTH))
    texts = []
    for each in range(number):
        mine = drawn[each * (LENGTH + SUMMARY_LENGTH) : (each + 1) * (LENGTH + SUMMARY_LENGTH)]
        text = f"user: order {each} {' '.join(mine[:60])}\nagent: {' '.join(mine[60:LENGTH])}\n"
        texts.append((text, " ".join(mine[LENGTH:])))
    return texts


def measure(url: str, texts: Sequence[tuple[str, str]], *, is_indexed: bool) -> None:
    """Fill one ledger, and print the rates."""
    database = connect(url)
    schema.upgrade(database)
    if is_indexed:
        search.build(database)
    started = perf_counter()
    number = intake.open_submission(database, "bench.csv", "bench")
    for start in range(0, len(texts), BATCH):
        intake.add_jobs(database, number, [new_job(each, texts[each][0]) for each in range(start, start + BATCH)])
    added_s = perf_counter() - started
    completed_s = complete(database, texts)
    kind = "with" if is_indexed else "without"
    print(
        f"{database.dialect.name}, {kind} index: {len(texts) / added_s:,.0f} conversations/s"
        f" added, {len(texts) / completed_s:,.0f} summaries/s",
        flush=True,
    )
    if is_indexed:
        show_search(database)
    else:
        started = perf_counter()
        search.build(database)
        print(f"  built over {len(texts):,} in {perf_counter() - started:.1f} s", flush=True)
        search.drop(database)
    database.dispose()


def complete(database: Engine, texts: Sequence[tuple[str, str]]) -> float:
    """Claim and complete everything; seconds of the completions alone."""
    total_s = 0.0
    while unsent := delivery.unsent(database, CHUNK):
        claimed = work.claim(database, [each.job.job_id for each in unsent], LEASE, 3)
        summaries = [
            work.SummaryRecord(
                job.job_id, "", texts[job.job_id % len(texts)][1], "base", "none", "float32", "1", "1", "{}", 300, 40,
                "stop", 1.0, 0.5, "bench",
            )
            for job in claimed
        ]  # fmt: skip
        started = perf_counter()
        work.complete(database, summaries)
        total_s += perf_counter() - started
    return total_s


def new_job(number: int, text: str) -> intake.NewJob:
    """A conversation of its own."""
    return intake.NewJob(str(number), number, text, intake.make_job_key(text, "1"), "1", is_sufficient=True)


def show_search(database: Engine) -> None:
    """How long a page of a rare and of a frequent word takes, and how long an erasure."""
    for words in ("order", "order 77"):
        started = perf_counter()
        num_found = len(search.find(database, words, Scope.CONVERSATIONS, None, 51))
        print(f"  {words!r}: {num_found} rows in {(perf_counter() - started) * 1e3:.1f} ms", flush=True)
    started = perf_counter()
    erasure.erase(database, "1", [1])
    search.scrub(database)
    print(f"  erased and scrubbed in {perf_counter() - started:.2f} s", flush=True)


if __name__ == "__main__":
    main()
