"""How long `aftercall --help` takes, from the shell and back.

python -m bench.cli
"""

import statistics
import subprocess
import sys
from pathlib import Path
from time import perf_counter

NUM_RUNS = 10


def time_help() -> float:
    """Seconds of one call."""
    command = [str(Path(sys.executable).with_name("aftercall")), "--help"]
    began = perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return perf_counter() - began


def main() -> None:
    """Print the median and the slowest."""
    time_help()
    seconds = [time_help() for _ in range(NUM_RUNS)]
    print(f"aftercall --help: median {statistics.median(seconds):.3f} s, slowest {max(seconds):.3f} s of {NUM_RUNS}")


if __name__ == "__main__":
    main()
