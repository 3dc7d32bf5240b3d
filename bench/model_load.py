"""Seconds and memory to load the packaged model: cold (GGUF converted) and warm (converted before), a process each.

    python -m bench.model_load [--quantization none|nf4|int8] [--repeats 3]

Imports of torch and transformers are timed apart: every worker pays them, whatever the model.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CHILD_FLAG = "--child"


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quantization", default="none", choices=["none", "nf4", "int8"])
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    print(f"{'load':6} {'import s':>9} {'load s':>8} {'peak MiB':>9}")
    with tempfile.TemporaryDirectory() as cache:
        _print_row("cold", [_measure(arguments.quantization, cache)])
        _print_row("warm", [_measure(arguments.quantization, cache) for _ in range(arguments.repeats)])


def _measure(quantization: str, cache: str) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.model_load", CHILD_FLAG, quantization, cache]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    figures: dict[str, float] = json.loads(run.stdout)
    return figures


def _print_row(name: str, runs: list[dict[str, float]]) -> None:
    imports, loads, peaks = (statistics.median(run[key] for run in runs) for key in ("import_s", "load_s", "peak_mib"))
    print(f"{name:6} {imports:9.1f} {loads:8.1f} {peaks:9.0f}")


def _load_and_report(quantization: str, cache: str) -> None:
    started = time.perf_counter()
    import transformers  # noqa: F401

    from aftercall.settings import PACKAGED_MODEL
    from worker.loading.load import ModelSettings, load_model

    imported = time.perf_counter()
    load_model(ModelSettings(PACKAGED_MODEL, quantization, "auto", None, "cpu", Path(cache)))  # type: ignore[arg-type]
    loaded = time.perf_counter()
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"import_s": imported - started, "load_s": loaded - imported, "peak_mib": peak_mib}))


if __name__ == "__main__":
    if sys.argv[1:2] == [CHILD_FLAG]:
        _load_and_report(*sys.argv[2:4])
    else:
        main()
