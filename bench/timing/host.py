"""What a worker's host does meanwhile: waits for the interpreter, CPU of each kind of thread, time in the ledger.

Runs inside the benchmark's worker processes and leaves one file each. Knows no device.
"""

import functools
import json
import os
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, quantiles
from types import ModuleType
from typing import Any, TypeVar

PROBE_INTERVAL_S = 0.005

#: Probes between two readings of the threads' CPU.
PROBES_A_READING = 100

T = TypeVar("T")

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class HostProbe:
    """Measures from its start until it is saved."""

    def __init__(self) -> None:
        #: When, and how much longer than asked a sleep took: what a thread waits for the interpreter.
        self._waits: list[tuple[float, float]] = []
        self._calls: dict[str, list[tuple[float, float]]] = defaultdict(list)
        #: When, and the CPU seconds of each kind of thread until then. Threads that end take theirs along.
        self._cpu: list[tuple[float, dict[str, float]]] = []
        threading.Thread(target=self._probe, name="probe", daemon=True).start()

    def watch(self, module: ModuleType, name: str) -> None:
        """Time every call of a module's function."""
        function = getattr(module, name)

        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self._calls[name].append((time.time(), time.perf_counter() - began))

        setattr(module, name, timed)

    def save(self, path: Path) -> None:
        """Write what was measured."""
        measured = {"waits": self._waits, "calls": self._calls, "cpu": self._cpu}
        path.write_text(json.dumps(measured), encoding="utf-8")

    def _probe(self) -> None:
        while True:
            if len(self._waits) % PROBES_A_READING == 0:
                self._cpu.append((time.time(), _cpu_by_thread()))
            began = time.perf_counter()
            time.sleep(PROBE_INTERVAL_S)
            self._waits.append((time.time(), time.perf_counter() - began - PROBE_INTERVAL_S))


def _cpu_by_thread() -> dict[str, float]:
    """CPU seconds of this process by kind of thread; those that Python did not start are the libraries'."""
    names = {thread.native_id: thread.name.partition("_")[0] for thread in threading.enumerate()}
    cpu: dict[str, float] = defaultdict(float)
    for task in Path("/proc/self/task").iterdir():
        fields = (task / "stat").read_text().rpartition(")")[2].split()
        cpu[names.get(int(task.name), "libraries")] += (int(fields[11]) + int(fields[12])) / _TICKS_PER_S
    return cpu


def process_age_s() -> float:
    """Seconds since this process was started."""
    ticks = int(Path("/proc/self/stat").read_text(encoding="ascii").rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / _TICKS_PER_S


def describe(folder: Path, start_s: float, end_s: float) -> str:
    """Two lines on all processes, for one stretch of time."""
    hosts = [json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.host")]
    calls: dict[str, list[float]] = defaultdict(list)
    cpu: dict[str, float] = defaultdict(float)
    for host in hosts:
        calls["interpreter"] += _within(host["waits"], start_s, end_s)
        for name, timed in host["calls"].items():
            calls[name] += _within(timed, start_s, end_s)
        first, *_, last = _within(host["cpu"], start_s, end_s)
        for kind, seconds in last.items():
            cpu[kind] += seconds - first.get(kind, 0.0)
    spent = [f"{kind} {seconds:.2f}" for kind, seconds in sorted(cpu.items()) if seconds > 0.05]
    return "\n".join(
        (
            "  ms, mean/95%: " + ", ".join(f"{name} {_spread(seconds)}" for name, seconds in calls.items()),
            "  CPU s by thread: " + ", ".join(spent),
        )
    )


def _within(timed: Sequence[tuple[float, T]], start_s: float, end_s: float) -> list[T]:
    return [measured for at, measured in timed if start_s <= at < end_s]


def _spread(seconds: Sequence[float]) -> str:
    if len(seconds) < 2:
        return "-"
    return f"{mean(seconds) * 1e3:.1f}/{quantiles(seconds, n=20)[-1] * 1e3:.1f}"
