"""Throws ugly inputs at the readers of sources, cells, messages, spool files and manifests, and says what breaks.

python -m bench.fuzz --seconds 600 --seed 1
python -m bench.fuzz --seconds 60 --target messages --keep /tmp/broken
"""

import hashlib
import logging
import resource
import time
from pathlib import Path
from random import Random

import click

from bench.fuzz.cells import CELLS
from bench.fuzz.harness import Findings, Target, fuzz, limit_memory
from bench.fuzz.manifests import MANIFESTS
from bench.fuzz.messages import MESSAGES
from bench.fuzz.sources import SOURCES
from bench.fuzz.spool import SPOOL

TARGETS = {target.name: target for target in (SOURCES, CELLS, MESSAGES, SPOOL, MANIFESTS)}


@click.command()
@click.option("--seconds", type=float, default=300.0, show_default=True, help="For all targets together.")
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--target", "names", type=click.Choice(list(TARGETS)), multiple=True, help="All unless given.")
@click.option("--keep", type=click.Path(path_type=Path, file_okay=False), help="Folder for inputs that broke it.")
def main(seconds: float, seed: int, names: tuple[str, ...], keep: Path | None) -> None:
    """Fuzz for a stated time; exits with 1 if anything broke."""
    logging.disable(logging.CRITICAL)
    limit_memory()
    chosen = [TARGETS[name] for name in names or TARGETS]
    is_broken = False
    for target in chosen:
        deadline = time.monotonic() + seconds / len(chosen)
        found = fuzz(target, Random(f"{seed} {target.name}"), lambda _, until=deadline: time.monotonic() >= until)
        _tell(target, found, keep)
        is_broken |= bool(found.broken)
    print(f"seed {seed}, {seconds:g} s, at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MiB")
    raise SystemExit(is_broken)


def _tell(target: Target, found: Findings, keep: Path | None) -> None:
    print(
        f"{target.name}: {found.num_inputs:,} inputs, {found.num_refused:,} refused; of the others {found.num_rows:,} "
        f"came out and {found.num_rejected:,} were rejected with a reason; slowest {found.slowest_s:.2f} s; "
        f"{len(found.broken)} ways to break",
        flush=True,
    )
    for broken, (data, told) in found.broken.items():
        print(f"- {broken}\n  {told or ''} {data[:200]!r}{' …' * (len(data) > 200)} ({len(data)} bytes)", flush=True)
        if keep is not None:
            keep.mkdir(parents=True, exist_ok=True)
            (keep / f"{target.name}-{hashlib.sha256(data).hexdigest()[:16]}").write_bytes(data)


if __name__ == "__main__":
    main()
