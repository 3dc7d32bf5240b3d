"""The workers of the end-to-end benchmark: `aftercall worker` with timed engines.

python -m bench.timing.worker --gpus 0,1        # one process for each GPU, as `aftercall worker` has them
python -m bench.timing.worker --gpus none       # one process, on the CPU
python -m bench.timing.worker --simulated       # one process, on a simulated device
"""

import sys
from typing import Literal

import click
from celery import signals
from sqlalchemy import Engine

from aftercall.settings import Settings
from bench.timing.host import process_age_s
from worker.process import CPU_THREADS, GPU_THREADS, serve
from worker.serving.served import Served
from worker.supervisor import supervise


@click.command()
@click.option("--gpus", default="none")
@click.option("--simulated", is_flag=True)
@click.option("--name", help="Serve under this name, instead of starting those that do.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu")
def main(gpus: str, simulated: bool, name: str | None, device: Literal["cpu", "cuda"]) -> None:
    """Serve until SIGTERM."""
    if name is None:
        sys.exit(supervise(gpus, lambda gpu, name: _command_for(gpu, name, simulated), stop_timeout_s=60.0))
    print(f"start-up: {process_age_s():.1f} s to the queue's modules", flush=True)
    from bench.timing.timed import load_simulated, load_timed, watch_host

    print(f"start-up: {process_age_s():.1f} s to the engine's modules", flush=True)

    def load(settings: Settings, database: Engine) -> Served:
        served = load_simulated(settings, database) if simulated else load_timed(settings, database, device)
        watch_host()
        print(f"start-up: {process_age_s():.1f} s to the engine", flush=True)
        return served

    @signals.worker_ready.connect(weak=False)  # type: ignore[untyped-decorator]
    def ready(**kwargs: object) -> None:
        print(f"start-up: {process_age_s():.1f} s to the first message", flush=True)

    serve(name, load, GPU_THREADS if simulated or device == "cuda" else CPU_THREADS)


def _command_for(gpu: int | None, name: str, simulated: bool) -> list[str]:
    what = ["--simulated"] if simulated else ["--device", "cpu" if gpu is None else "cuda"]
    return [sys.executable, "-m", "bench.timing.worker", "--name", name, *what]


if __name__ == "__main__":
    main()
