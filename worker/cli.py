"""The worker's command."""

import sys
from importlib.util import find_spec

import click

from aftercall.errors import ModelError


@click.command()
@click.option(
    "--gpus",
    default="auto",
    show_default=True,
    help="Which GPUs, one worker process each: all, none (one process on the CPU), numbers such as 0,1, "
    "or auto (all there are, else the CPU).",
)
def worker(gpus: str) -> int:
    """Run workers, one process a GPU.

    A worker that dies is started again. SIGTERM drains: running conversations may finish for
    AFTERCALL_DRAIN_TIMEOUT_S seconds, what is left goes back to the queue.
    """
    from aftercall.settings import load_settings

    if find_spec("torch") is None:
        raise ModelError("a worker needs PyTorch, which is not installed. Run: pip install 'aftercall[worker]'")
    from worker.supervisor import supervise

    # Read by each worker process; here so that a wrong one is said once, and nothing is started.
    load_settings()
    return supervise(gpus, command_for)


def command_for(gpu: int | None, name: str) -> list[str]:
    """The command line of one worker process; the supervisor makes only its GPU visible to it."""
    device = "cpu" if gpu is None else "cuda"
    return [sys.executable, "-m", "worker.process", "--name", name, "--device", device]
