"""Swaps under load: promotions and rollbacks while a night runs, and what the ledger says of it afterwards.

python -m bench.swap --gpus 0 --model DIR                                   # a GPU
python -m bench.swap --num-conversations 160 --num-swaps 4                  # the packaged model on the CPU

The same number of conversations runs twice through real Celery, Redis and SQL, first undisturbed, then with two
adapters of random weights promoted and rolled back in turn. Every step of the engine is timed: what is called idle is
the gap between the last step before an exchange and the first one after it.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from sqlalchemy import Engine, func, select

from aftercall import schema
from aftercall.broker import Broker
from aftercall.database import connect, reading
from aftercall.embedded import embedded_broker
from aftercall.ledger import account, workers
from aftercall.models import Job, JobState, Summary
from aftercall.settings import PACKAGED_MODEL, Settings
from aftercall.sweep import Sweeper
from bench.end_to_end import write_source
from bench.random_adapter import make_adapter
from bench.timing.spans import SPANS_VARIABLE, Span, load
from bench.workload import TWEETSUMM
from producer.source import open_source
from producer.submit import submit
from training.registry import registry
from training.registry.registry import Trial
from worker.loading.base_model import find_base_model

_SWAP = re.compile(r"^(\S+ \S+) \S+ INFO adapter \w+ is served in place of .*drained in ([\d.]+) s, .* ([\d.]+) ms$")

#: Around the time that the worker's log gives for an exchange.
_TOLERANCE_S = 0.1


@dataclass(frozen=True, slots=True)
class Bench:
    """What one run works with."""

    settings: Settings
    database: Engine
    base: str
    #: Digests of two registered adapters; the first is active at the start and the end.
    adapters: tuple[str, str]

    def is_served(self, digest: str) -> bool:
        """Whether the one worker says so."""
        return [live.worker.adapter_digest for live in workers.alive(self.database)] == [digest]

    def change(self, number: int) -> str:
        """Promote the second adapter, or roll back to the first; the digest that is to be served then."""
        first, second = self.adapters
        if number % 2:
            registry.rollback(self.database, self.base)
            return first
        registry.promote(self.database, second, Trial(first))
        return second


@dataclass(frozen=True, slots=True)
class Swap:
    """One exchange as the worker's log has it."""

    at_s: float
    drain_s: float
    logged_idle_s: float


@contextmanager
def worker(bench: Bench, device: str, folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """One worker process, its engine timed."""
    with (folder / "worker.log").open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.swap_worker", "--name", "swap", "--device", device],
            env={**os.environ, **bench.settings.to_environment(), SPANS_VARIABLE: str(folder)},
            stdout=output,
            stderr=output,
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def send(bench: Bench, path: Path) -> int:
    """Submit a source; the submission's number."""
    broker = Broker(bench.settings)
    with open_source(str(path)) as source:
        sweeper = Sweeper(bench.database, broker, bench.settings)
        submission_id = submit(source, bench.database, sweeper, path.with_suffix(".rejected")).submission_id
    broker.close()
    return submission_id


def wait(condition: Callable[[], bool], process: "subprocess.Popen[bytes]") -> None:
    """Until the condition holds, or the worker is gone."""
    while not condition():
        if process.poll() is not None:
            raise SystemExit("the worker ended; see worker.log in --log-dir")
        time.sleep(0.05)


def run_night(bench: Bench, path: Path, process: "subprocess.Popen[bytes]", num_swaps: int) -> float:
    """Submit a source and swap while it runs, evenly; the seconds it took."""
    started = time.monotonic()
    submission_id = send(bench, path)
    standing = account.account(bench.database, submission_id)
    num_jobs = standing.open
    for number in range(num_swaps):
        due = num_jobs * (number + 1) / (num_swaps + 1)
        wait(lambda due=due: account.account(bench.database, submission_id).done >= due, process)
        digest = bench.change(number)
        wait(lambda digest=digest: bench.is_served(digest), process)
    wait(lambda: account.account(bench.database, submission_id).open == 0, process)
    return time.monotonic() - started


def read_swaps(log: Path) -> list[Swap]:
    """The exchanges that the worker reports."""
    found = (_SWAP.match(line) for line in log.read_text().splitlines())
    return [
        Swap(datetime.strptime(match[1], "%Y-%m-%d %H:%M:%S,%f").timestamp(), float(match[2]), float(match[3]) / 1e3)
        for match in found
        if match
    ]


def idle_s(swap: Swap, steps: list[Span]) -> float:
    """The longest time without a step around an exchange."""
    start_s, end_s = swap.at_s - swap.logged_idle_s - _TOLERANCE_S, swap.at_s + _TOLERANCE_S
    gaps = [(before.end_s, after.start_s) for before, after in pairwise(steps)]
    return max((to - since for since, to in gaps if to >= start_s and since <= end_s), default=0.0)


def check_ledger(database: Engine) -> None:
    """What was lost, what was repeated, and who wrote how much."""
    with reading(database) as connection:
        states = Counter(connection.execute(select(Job.state)).scalars())
        num_claims = connection.execute(select(func.sum(Job.attempts))).scalar_one()
        written = connection.execute(select(Summary.job_id, Summary.adapter_digest)).all()
    num_jobs = states.total()
    # Random weights may end a completion before its first word; that is a job failed for its reason, not lost.
    num_at_rest = states[JobState.DONE] + states[JobState.FAILED]
    print(f"jobs {num_jobs}: lost {num_jobs - num_at_rest}, failed {states[JobState.FAILED]}", end=", ")
    print(f"claimed again {num_claims - num_jobs}, summarized again {len(written) - len({row[0] for row in written})}")
    by_adapter = Counter(digest for _, digest in written)
    print("summaries by adapter: " + ", ".join(f"{digest} {number}" for digest, number in sorted(by_adapter.items())))


def measure(args: argparse.Namespace, folder: Path, redis_url: str) -> None:
    """Set up, run both nights, report."""
    settings = Settings(
        data_dir=args.cache,
        database_url=f"sqlite:///{folder / 'aftercall.db'}",
        redis_url=redis_url,
        base_model=args.model,
        quantization=args.quantization,
        max_new_tokens=args.max_new_tokens,
        chunk_size=args.chunk_size,
        worker_threads=args.worker_threads,
        sweep_interval_s=0.5,
    )
    database = connect(settings.ledger_url)
    schema.upgrade(database)
    base = find_base_model(settings.base_model, settings.data_dir)
    folders = [make_adapter(folder / "adapters", base, seed, size=0.01) for seed in (1, 2)]
    first, second = (registry.register(database, adapter).digest for adapter in folders)
    incumbent = registry.shipped_digest(base.name)
    registry.promote(database, first, Trial(incumbent))
    bench = Bench(settings, database, base.name, (first, second))
    for name, number in {
        "warm": args.num_warm_up,
        "plain": args.num_conversations,
        "swap": args.num_conversations,
    }.items():
        write_source(folder / f"{name}.csv", number, name, args.data)
    with worker(bench, "cpu" if args.gpus == "none" else "cuda", folder) as process:
        run_night(bench, folder / "warm.csv", process, 0)
        plain_s = run_night(bench, folder / "plain.csv", process, 0)
        swapped_s = run_night(bench, folder / "swap.csv", process, args.num_swaps)
    report(bench, folder, args, plain_s, swapped_s)
    database.dispose()


def report(bench: Bench, folder: Path, args: argparse.Namespace, plain_s: float, swapped_s: float) -> None:
    """The ledger's account, then the times."""
    check_ledger(bench.database)
    steps, swaps = load(folder), read_swaps(folder / "worker.log")
    idle_ms = [idle_s(swap, steps) * 1e3 for swap in swaps]
    print(f"swaps {len(swaps)} of {args.num_swaps} asked for, in one process")
    if swaps:
        drain_s = [swap.drain_s for swap in swaps]
        print(f"engine idle a swap: median {statistics.median(idle_ms):.1f} ms, worst {max(idle_ms):.1f} ms")
        print(f"drain before it: median {statistics.median(drain_s):.2f} s, worst {max(drain_s):.2f} s")
    for name, seconds in (("undisturbed", plain_s), ("with swaps", swapped_s)):
        print(f"{name}: {args.num_conversations / seconds:.1f} conversations/s, {seconds:.1f} s")
    print(f"a swap cost {(swapped_s - plain_s) / max(1, len(swaps)):.2f} s of the night")


def main() -> None:
    """Measure in a folder of its own; worker.log and the steps stay in --log-dir where one is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=PACKAGED_MODEL, help="base model, as in AFTERCALL_BASE_MODEL")
    parser.add_argument("--quantization", default="none")
    parser.add_argument("--gpus", default="none", help="none, or the number of one GPU")
    parser.add_argument("--num-conversations", type=int, default=8_000, help="of each of the two nights")
    parser.add_argument("--num-warm-up", type=int, default=8)
    parser.add_argument("--num-swaps", type=int, default=10)
    parser.add_argument("--max-new-tokens", type=int, default=40)
    parser.add_argument("--chunk-size", type=int, default=32)
    parser.add_argument("--worker-threads", type=int, default=0, help="as in AFTERCALL_WORKER_THREADS")
    parser.add_argument("--data", type=Path, default=TWEETSUMM, help="folder with TweetSumm's train.jsonl")
    parser.add_argument("--cache", type=Path, default=Path("aftercall-data"), help="folder of the model cache")
    parser.add_argument("--log-dir", type=Path)
    args = parser.parse_args()
    if args.gpus != "none":
        os.environ["CUDA_VISIBLE_DEVICES"] = args.gpus
    with tempfile.TemporaryDirectory() as name:
        folder = args.log_dir or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        with embedded_broker(Path(name)) as redis_url:
            measure(args, folder, redis_url)


if __name__ == "__main__":
    main()
