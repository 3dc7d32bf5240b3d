"""Runs a function in several processes, one per GPU; accelerate finds them through their environment variables."""

import os
import uuid
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, record
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from aftercall.errors import AdapterError, SettingsError
from aftercall.processes import safe_path_for_children

Returned = TypeVar("Returned")


def run_together(num_processes: int, work: Callable[..., Returned], *args: Any) -> Returned:
    """Call `work` in `num_processes` processes; returns what the first one returned. One process means this one.

    Raises SettingsError if there are too few GPUs or a launcher started this process, AdapterError if one of the
    processes fails.
    """
    _check(num_processes)
    if num_processes == 1:
        return work(*args)
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=num_processes,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        monitor_interval=0.2,
    )
    try:
        with safe_path_for_children():
            returned: dict[int, Returned] = elastic_launch(config, _run_one)(work, args)
    except ChildFailedError as error:
        _, failure = error.get_first_failure()
        raise AdapterError(
            f"training in {num_processes} processes failed: {failure.message}. Their output above says more."
        ) from error
    return returned[0]


def is_first() -> bool:
    """Whether this process is the one that writes files."""
    return int(os.environ.get("RANK", "0")) == 0


def num_processes() -> int:
    """How many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


@record
def _run_one(work: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    try:
        result = work(*args)
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
    # Return values are pickled back to the launching process, which reads only the first one's.
    return result if is_first() else None


def _check(num_processes: int) -> None:
    if "LOCAL_RANK" in os.environ:
        raise SettingsError(
            "training was started by a launcher, so each of its processes would evaluate and publish; run "
            f"`aftercall train --gpus {os.environ.get('WORLD_SIZE', 'N')}` without one: it starts the others itself"
        )
    if torch.cuda.is_available() and num_processes > torch.cuda.device_count():
        raise SettingsError(
            f"{num_processes} GPUs are requested and {torch.cuda.device_count()} visible; request fewer, or check "
            "`nvidia-smi` and CUDA_VISIBLE_DEVICES"
        )
