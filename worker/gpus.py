"""Lists the GPUs of this machine without loading torch into the calling process."""

import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from aftercall.errors import ModelError, SettingsError

#: Run in a process of its own, because a process that has initialized CUDA keeps memory on every GPU.
_COUNT_BY_DRIVER = """
import ctypes
driver = ctypes.CDLL("libcuda.so.1")
count = ctypes.c_int()
failed = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
print(0 if failed else count.value)
"""
_TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU: its number among the visible ones, and its name in CUDA_VISIBLE_DEVICES."""

    number: int
    #: An index or a UUID.
    device: str


def visible_gpus(environment: Mapping[str, str] = os.environ) -> list[Gpu]:
    """The GPUs that CUDA_VISIBLE_DEVICES names, or all if it is not set."""
    masked = environment.get("CUDA_VISIBLE_DEVICES")
    if masked is None:
        return [Gpu(number, str(number)) for number in range(_count_gpus())]
    names = [name.strip() for name in masked.split(",") if name.strip()]
    # CUDA stops reading at the first name that is not a device; -1 is the usual one.
    return [Gpu(number, name) for number, name in enumerate(itertools.takewhile(lambda name: name != "-1", names))]


def choose_gpus(asked: str, environment: Mapping[str, str] = os.environ) -> list[Gpu | None]:
    """The GPUs that `all`, `auto`, `none` or numbers such as `0,1` mean; None stands for the CPU.

    Numbers count among the visible GPUs, as everywhere in CUDA. Raises ModelError if a requested GPU does not exist,
    SettingsError if `asked` is none of the above.
    """
    if asked == "none":
        return [None]
    gpus = visible_gpus(environment)
    if asked == "auto":
        return [*gpus] or [None]
    if not gpus:
        raise ModelError(
            f"--gpus {asked} asks for a GPU, but none is visible: look at `nvidia-smi` and "
            "CUDA_VISIBLE_DEVICES. Use --gpus none for a worker on the CPU."
        )
    if asked == "all":
        return [*gpus]
    return [_pick(gpus, number) for number in dict.fromkeys(asked.split(","))]


def _pick(gpus: list[Gpu], number: str) -> Gpu:
    if not number.strip().isdecimal():
        raise SettingsError(f"--gpus has {number!r}; expected all, auto, none, or numbers such as 0,1.")
    if int(number) >= len(gpus):
        raise ModelError(
            f"--gpus asks for GPU {number.strip()}, but the last visible one is {len(gpus) - 1}. See `nvidia-smi -L`."
        )
    return gpus[int(number)]


def _count_gpus() -> int:
    """Ask nvidia-smi; if it is not installed, as in some containers, ask the driver's library."""
    if shutil.which("nvidia-smi"):
        return sum(line.startswith("GPU ") for line in _output(["nvidia-smi", "-L"]).splitlines())
    return int(_output([sys.executable, "-I", "-c", _COUNT_BY_DRIVER]).strip() or 0)


def _output(command: list[str]) -> str:
    """What `command` prints; empty if it fails, as nvidia-smi does without a driver."""
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return run.stdout if run.returncode == 0 else ""
