"""The worker of the swap benchmark: `worker.process` with an engine whose steps are timed, on a GPU or the CPU.

python -m bench.swap_worker --name NAME --device cuda
"""

from typing import Literal

import click
from sqlalchemy import Engine

from aftercall.settings import Settings
from worker.process import CPU_THREADS, GPU_THREADS, serve
from worker.serving.served import Served


@click.command()
@click.option("--name", required=True)
@click.option("--device", type=click.Choice(["cpu", "cuda"]), required=True)
def main(name: str, device: Literal["cpu", "cuda"]) -> None:
    """Serve until SIGTERM."""

    def load(settings: Settings, database: Engine) -> Served:
        from bench.timing.timed import load_timed

        return load_timed(settings, database, device)

    serve(name, load, CPU_THREADS if device == "cpu" else GPU_THREADS)


if __name__ == "__main__":
    main()
