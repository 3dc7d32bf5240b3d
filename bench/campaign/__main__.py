"""A seeded fault campaign: a night's run under faults of many kinds at random moments, and the ledger's account after.

python -m bench.campaign --database sqlite --seed 1 --num-faults 50 --num-conversations 2000 --workers 3
python -m bench.campaign --database postgresql --seed 1 --num-seeds 10     # ten seeds, one table
python -m bench.campaign --database sqlite --seed 7 --keep /tmp/seed-7     # keeps ledger, logs and files
python -m bench.campaign --only swallowed --only twin --num-faults 20      # these kinds alone

Valkey, PostgreSQL or SQLite, worker processes, supervisor and commands are real and are really broken; only the
engine is scripted. Prints a line while it runs. Ends with exit code 1, the seed and the ids if one conversation is
lost, repeated, swapped or wrongly failed, if a worker died by itself, or if a command showed a traceback. What the
seed decides: exports, poison, kinds, order and strength of the faults. What it does not: how threads and processes
meet. Needs the package's `dev` extra; how recovery times are defined stands in `bench/campaign/report.py`.
"""

import argparse
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from itertools import cycle, islice
from pathlib import Path

from bench.campaign import report
from bench.campaign.check import check_imported, check_ledger, check_workers
from bench.campaign.faults import KINDS, Kind, Part
from bench.campaign.hostile import HOSTILE
from bench.campaign.night import NUM_EXPORTS, write_exports
from bench.campaign.people import Desk
from bench.campaign.report import SeedResult, Struck
from bench.campaign.site import Site

#: Seconds between two faults: short enough for them to meet, long enough for some to be over.
PAUSE_S = (0.2, 2.0)

#: How many faults of a part happen at once, if not one: people do not wait for each other.
NUM_AT_ONCE = {Part.PEOPLE: 2}

#: Nothing moved for so long: it never will. Longer than the watchdog's patience and a restart.
TIMEOUT_S = 100.0


class Campaign:
    """One seed: strikes, waits for rest, and judges."""

    def __init__(self, site: Site, desk: Desk, seed: int) -> None:
        self._site = site
        self._desk = desk
        self._seed = seed
        self._began = time.time()
        self._said_at = 0.0
        self._strikes: list[Struck] = []

    def run(self, plan: list[Kind]) -> SeedResult:
        """The whole night."""
        self._site.keep_workers()
        self._desk.submit_next(self._site, random.Random(self._seed))
        self._strike_all(plan)
        self._desk.submit_rest(self._site, random.Random(self._seed))
        wrongs = self._wait_for_rest()
        self._site.stop_workers()
        return self._judge(wrongs)

    def _strike_all(self, plan: list[Kind]) -> None:
        draw = random.Random(f"{self._seed} pauses")
        with ExitStack() as stack:
            # A lane a part: no server is broken twice at once, but everything is broken beside everything else.
            lanes = {part: ThreadPoolExecutor(NUM_AT_ONCE.get(part, 1)) for part in Part}
            for lane in lanes.values():
                stack.callback(lane.shutdown, cancel_futures=True)
            pending: list[Future[object]] = []
            for number, kind in enumerate(plan):
                self._idle(draw.uniform(*PAUSE_S))
                pending.append(lanes[kind.part].submit(self._strike, number, kind))
                if number % (len(plan) // NUM_EXPORTS + 1) == 0:
                    planned = lanes[Part.PEOPLE].submit(self._desk.submit_next, self._site, random.Random(number))
                    pending.append(planned)
            while not all(future.done() for future in pending):
                self._idle(0.2)
            for future in pending:
                future.result()

    def _strike(self, number: int, kind: Kind) -> None:
        began = time.time()
        held = kind.action(self._site, random.Random(f"{self._seed} {number}"))
        is_workers = kind.part is Part.WORKER
        since = began if is_workers else time.time()
        self._strikes.append(Struck(kind.name, since, held, is_workers, self._site.running()))

    def _idle(self, seconds: float) -> None:
        """Let time pass, keep a supervisor running, say how things stand."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._site.keep_workers()
            time.sleep(min(0.1, left))
        if time.time() - self._said_at > 5:
            self._said_at = time.time()
            self._say()

    def _say(self) -> None:
        counts = self._site.num_by_state()
        standing = "database away" if counts is None else ", ".join(f"{num} {state}" for state, num in counts.items())
        elapsed_s = time.time() - self._began
        print(f"seed {self._seed} {elapsed_s:4.0f} s: {len(self._strikes)} faults; {standing}", flush=True)

    def _wait_for_rest(self) -> list[str]:
        before, moved_at = None, time.monotonic()
        while time.monotonic() - moved_at < TIMEOUT_S:
            counts = self._site.num_by_state()
            if counts is not None and not counts["queued"] + counts["running"]:
                return []
            if counts != before:
                before, moved_at = counts, time.monotonic()
            self._idle(0.3)
        return [f"no rest: nothing moved for {TIMEOUT_S:g} s"]

    def _judge(self, wrongs: list[str]) -> SeedResult:
        site = self._site
        wrongs += check_ledger(site.engine, site.begun)
        wrongs += check_workers(site.log.read_text(errors="replace"), site.settings.spool_dir)
        wrongs += check_imported(site.marker)
        return SeedResult(
            seed=self._seed,
            recoveries=report.recoveries(site.engine, self._strikes),
            num_conversations=len({external_id for export in site.begun for external_id in export.external_ids}),
            attempts=report.attempts(site.engine),
            num_repeated=report.num_repeated(site.calls),
            elapsed_s=time.time() - self._began,
            wrongs=(*wrongs, *site.witnessed.complaints),
        )


def make_plan(desk: Desk, options: argparse.Namespace, seed: int) -> list[Kind]:
    """Kinds in random order, each as often as any other."""
    draw = random.Random(f"{seed} plan")
    kinds = [kind for kind in (*KINDS, *HOSTILE, *desk.kinds()) if kind.database in ("", options.database)]
    kinds = [kind for kind in kinds if not options.only or any(part in kind.name for part in options.only)]
    draw.shuffle(kinds)
    plan = list(islice(cycle(kinds), options.num_faults))
    draw.shuffle(plan)
    return plan


def run_seed(options: argparse.Namespace, seed: int, folder: Path) -> SeedResult:
    """One seed in a folder of its own."""
    exports = write_exports(folder, options.num_conversations, random.Random(seed))
    desk = Desk(exports)
    with closing(Site(folder, options.database, options.workers, options.call_s)) as site:
        result = Campaign(site, desk, seed).run(make_plan(desk, options, seed))
        exit_codes = ", ".join(f"{code} {num} times" for code, num in sorted(site.witnessed.exit_codes.items()))
    print(f"seed {seed}: {result.elapsed_s:.0f} s; commands and exit codes: {exit_codes}", flush=True)
    for wrong in result.wrongs:
        print(f"seed {seed}: WRONG: {wrong}", flush=True)
    return result


@contextmanager
def _folder(keep: Path | None, seed: int) -> Iterator[Path]:
    """Temporary, or kept to be looked into."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="aftercall-campaign-") as name:
            yield Path(name)
        return
    folder = keep / f"seed-{seed}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    yield folder


def main() -> None:
    """Run the seeds, print the tables, exit with 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--num-seeds", type=int, default=1, help="so many seeds from there, one after the other")
    parser.add_argument("--num-faults", type=int, default=50, help="for each seed")
    parser.add_argument("--only", action="append", help="only kinds with this in their name; may be repeated")
    parser.add_argument("--num-conversations", type=int, default=2_000, help="for each seed")
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--call-s", type=float, default=0.3, help="how long the engine takes for a chunk of eight")
    parser.add_argument("--keep", type=Path, help="folder in which ledgers, logs and exports are kept")
    options = parser.parse_args()
    # So that servers and workers are ended, too.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(f"ended by signal {number}"))
    results = []
    for seed in range(options.seed, options.seed + options.num_seeds):
        with _folder(options.keep, seed) as folder:
            results.append(run_seed(options, seed, folder))
    print(f"\n{options.database}\n\n{report.table(results)}\n\n{report.totals(results)}")
    sys.exit(any(result.wrongs for result in results))


if __name__ == "__main__":
    main()
