"""The worker of the swap benchmark: `worker.process` with an engine whose steps are timed, on a GPU or the CPU.

python -m bench.swap_worker --name NAME --device cuda
"""

import os
import time
from pathlib import Path
from typing import Any, Literal

import click
from sqlalchemy import Engine

from aftercall.settings import Settings
from bench.timing.spans import SPANS_VARIABLE, CudaClock, TimedRunner
from worker.process import CPU_THREADS, GPU_THREADS, serve
from worker.served import Served


class HostClock:
    """For a device that is done with a step when its launch returns."""

    def mark(self) -> float:
        """Now."""
        return time.time()

    def seconds(self, mark: Any) -> float:
        """As marked."""
        return float(mark)


@click.command()
@click.option("--name", required=True)
@click.option("--device", type=click.Choice(["cpu", "cuda"]), required=True)
def main(name: str, device: Literal["cpu", "cuda"]) -> None:
    """Serve until SIGTERM."""

    def load(settings: Settings, database: Engine) -> Served:
        from worker.engine import build
        from worker.engine.runner import ModelRunner
        from worker.serving import load_served

        path = Path(os.environ[SPANS_VARIABLE]) / f"{os.getpid()}.json"

        def timed_runner(*args: Any) -> TimedRunner:
            return TimedRunner(ModelRunner(*args), CudaClock() if device == "cuda" else HostClock(), path)

        build.ModelRunner = timed_runner  # type: ignore[assignment, misc]
        return load_served(settings, database, device)

    serve(name, load, CPU_THREADS if device == "cpu" else GPU_THREADS)


if __name__ == "__main__":
    main()
