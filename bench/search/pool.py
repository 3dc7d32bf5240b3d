"""Processes on all GPUs that take tasks from one queue, and a clock that starts nothing it could not end."""

import argparse
import json
import multiprocessing
import os
import queue
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from bench.search.tasks import Bench, Result, Task

#: Given all results so far, what to do next; None: nothing more.
Choose = Callable[[Sequence[Result]], Task | None]


def serve(device: str, arguments: argparse.Namespace, tasks: Any, results: Any) -> None:
    """A process: takes tasks until it is ended."""
    os.environ["CUDA_VISIBLE_DEVICES"] = device
    bench = Bench(arguments.base, str(arguments.data), arguments.out, arguments.limit)
    while True:
        results.put(bench.run(tasks.get()))


def visible_devices(num_gpus: int) -> list[str]:
    """The first of the GPUs that this process may use, by the names that CUDA_VISIBLE_DEVICES gives them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return (named.split(",") if named else [str(index) for index in range(num_gpus)])[:num_gpus]


class Pool:
    """All processes; they end with this one."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        context = multiprocessing.get_context("spawn")
        self.results: list[Result] = []
        self._tasks, self._results = context.Queue(), context.Queue()
        self._start = time.monotonic()
        self._log = arguments.out / "runs.jsonl"
        self._running: dict[str, Task] = {}
        #: By kind of task: how much longer than guessed the slowest took.
        self._slowness: dict[type[Task], float] = {}
        devices = visible_devices(arguments.gpus)
        self._processes = [
            context.Process(target=serve, args=(devices[index % len(devices)], arguments, *queues), daemon=True)
            for index in range(arguments.gpus * arguments.per_gpu)
            for queues in [(self._tasks, self._results)]
        ]
        for process in self._processes:
            process.start()

    def run(self, choose: Choose, deadline_s: float) -> None:
        """Keep every process busy with what `choose` says, as long as it would end by the deadline."""
        while len(self._running) < len(self._processes) and self._start_next(choose, deadline_s):
            pass
        while self._running and self.elapsed_s < deadline_s and any(each.is_alive() for each in self._processes):
            try:
                self._note(self._results.get(timeout=1))
            except queue.Empty:
                continue
            self._start_next(choose, deadline_s)

    @property
    def elapsed_s(self) -> float:
        """Since the processes were started."""
        return time.monotonic() - self._start

    def _start_next(self, choose: Choose, deadline_s: float) -> bool:
        refused = []
        while task := choose(self.results):
            if self.elapsed_s + task.guess_s * self._slowness.get(type(task), 1.0) < deadline_s:
                self._running[task.name] = task
                self._tasks.put(task)
                break
            refused.append(task.name)
        if refused:
            print(f"{self.elapsed_s:5.0f} s no time left for {', '.join(refused)}", flush=True)
        return task is not None

    def _note(self, result: Result) -> None:
        task = self._running.pop(result.name)
        slowness = result.duration_s / task.guess_s
        self._slowness[type(task)] = max(slowness, self._slowness.get(type(task), 0.0))
        self.results.append(result)
        with self._log.open("a") as log:
            log.write(json.dumps(asdict(result)) + "\n")
        print(
            f"{self.elapsed_s:5.0f} s {result.name:24} {result.duration_s:6.1f} s (training {result.training_s:.1f} s, "
            f"judging {result.judging_s:.1f} s) {result.score:6.2f} {result.error}",
            flush=True,
        )
