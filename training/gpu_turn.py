"""Waits for a GPU that workers use: their model and cache fill it, and training would run out of memory there."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import click
import torch

from aftercall.errors import ModelError
from aftercall.ledger.workers import LiveWorker

#: Training starts once this share of the GPU's memory is free.
MIN_FREE_SHARE = 0.5
_INTERVAL_S = 15.0


@dataclass(frozen=True, slots=True)
class GpuMemory:
    """A GPU's memory, in bytes."""

    free: int
    total: int

    @property
    def is_free(self) -> bool:
        """Whether training may start."""
        return self.free >= MIN_FREE_SHARE * self.total


def read_gpu() -> GpuMemory | None:
    """The memory of the GPU that training would take; None without one."""
    return GpuMemory(*torch.cuda.mem_get_info()) if torch.cuda.is_available() else None


def wait_for_gpu(
    find_workers: Callable[[], Sequence[LiveWorker]],
    limit_s: float,
    read: Callable[[], GpuMemory | None],
    interval_s: float = _INTERVAL_S,
) -> None:
    """Return once the GPU is free, or at once if there is none.

    Raises ModelError, naming the workers, if it is still in use after `limit_s` seconds.
    """
    deadline = time.monotonic() + limit_s
    is_told = False
    while (memory := read()) is not None and not memory.is_free:
        names = ", ".join(each.worker.name for each in find_workers()) or "another program"
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise ModelError(
                f"the GPU is in use by {names} ({memory.free / memory.total:.0%} of its memory is free, training needs "
                f"{MIN_FREE_SHARE:.0%}). Stop the workers, wait longer with --wait, or choose another GPU with "
                "CUDA_VISIBLE_DEVICES."
            )
        if not is_told:
            click.echo(f"waiting for the GPU, which {names} uses")
            is_told = True
        time.sleep(min(interval_s, left_s))
