"""The worker's command."""

from importlib.util import find_spec

import click

from aftercall.errors import ModelError
from aftercall.processes import python_command

#: A worker ends within its drain timeout and a few seconds more. Later than this, it hangs.
STOP_GRACE_S = 20.0


@click.command()
@click.option(
    "--gpus",
    default="auto",
    show_default=True,
    help="Which GPUs to use, one worker process for each: all, none (one process on the CPU), numbers such as 0,1, "
    "or auto (all GPUs if there are any, else the CPU).",
)
def worker(gpus: str) -> int:
    """Run workers, one process per GPU.

    A worker that dies is restarted. On SIGTERM, running conversations have AFTERCALL_DRAIN_TIMEOUT_S seconds to
    finish; the rest goes back to the queue.
    """
    from aftercall.logs import start_logging
    from aftercall.settings import load_settings

    if find_spec("torch") is None:
        raise ModelError("a worker needs PyTorch, which is not installed. Run: pip install 'aftercall[worker]'")
    from worker.supervisor import supervise

    # Each worker process reads them too. Here, a wrong one is reported once and nothing is started.
    settings = load_settings()
    start_logging(settings, "aftercall")
    return supervise(gpus, command_for, settings.drain_timeout_s + STOP_GRACE_S)


def command_for(gpu: int | None, name: str) -> list[str]:
    """The command line of one worker process. The supervisor shows it only its own GPU."""
    device = "cpu" if gpu is None else "cuda"
    return python_command("worker.process", "--name", name, "--device", device)
