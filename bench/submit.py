"""Submitting: conversations/s and peak memory of `aftercall submit`, from a CSV file to SQLite and Valkey.

python -m bench.submit                       # 100,000 generated conversations
python -m bench.submit 100000 1000000        # does memory stay flat?
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from aftercall.embedded import embedded_broker
from aftercall.settings import Settings
from bench.generate import write_export


def submit(source: Path, settings: Settings) -> tuple[float, float, float]:
    """Run the command as a process of its own; returns its seconds, its CPU seconds and its peak memory in MiB."""
    environment = {**os.environ, **settings.to_environment()}
    command = [sys.executable, "-m", "aftercall", "submit", str(source)]
    began = perf_counter()
    pid = os.posix_spawn(command[0], command, environment)
    _, status, usage = os.wait4(pid, 0)
    elapsed_s = perf_counter() - began
    if os.waitstatus_to_exitcode(status) != 0:
        raise SystemExit("aftercall submit failed, see above")
    return elapsed_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def measure(num_conversations: int, folder: Path) -> None:
    """One size: generate, submit, print."""
    source = folder / f"generated-{num_conversations}.csv"
    if not source.exists():
        write_export(source, num_conversations)
    with tempfile.TemporaryDirectory(dir=folder) as data, embedded_broker(Path(data)) as redis_url:
        elapsed_s, cpu_s, peak_mib = submit(source, Settings(data_dir=Path(data), redis_url=redis_url))
    size_mb = source.stat().st_size / 1e6
    print(
        f"{num_conversations:>9,} conversations ({size_mb:,.0f} MB): {elapsed_s:6.1f} s, "
        f"{num_conversations / elapsed_s:7,.0f}/s, {cpu_s:.1f} s of CPU, peak {peak_mib:4.0f} MiB, "
        f"load {os.getloadavg()[0]:.1f}"
    )


def main() -> None:
    """Measure each size asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", type=int, nargs="*", default=[100_000])
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "aftercall-bench")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for num_conversations in options.sizes:
        measure(num_conversations, options.folder)


if __name__ == "__main__":
    main()
