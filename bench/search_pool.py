"""Processes on all GPUs that take tasks from one queue, and the clock that ends each stage."""

import argparse
import json
import multiprocessing
import os
import queue
import time
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from bench.search_tasks import Bench, Result, Task


def serve(device: int, arguments: argparse.Namespace, tasks: Any, results: Any) -> None:
    """A process: takes tasks until it is ended."""
    os.environ["CUDA_VISIBLE_DEVICES"] = str(device)
    bench = Bench(arguments.base, str(arguments.data), arguments.out, arguments.limit)
    while True:
        results.put(bench.run(tasks.get()))


class Pool:
    """All processes; they end with this one."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        context = multiprocessing.get_context("spawn")
        self._tasks, self._results = context.Queue(), context.Queue()
        self._start = time.monotonic()
        self._log = arguments.out / "runs.jsonl"
        for index in range(arguments.gpus * arguments.per_gpu):
            device = index % arguments.gpus
            context.Process(target=serve, args=(device, arguments, self._tasks, self._results), daemon=True).start()

    def run(self, title: str, tasks: Iterable[Task], deadline_s: float) -> list[Result]:
        """The results of a stage, best first; what has not ended by the deadline is left behind."""
        pending = list(tasks)
        names = {task.name for task in pending}
        for task in pending:
            self._tasks.put(task)
        done: list[Result] = []
        while len(done) < len(pending) and time.monotonic() - self._start < deadline_s:
            try:
                result = self._results.get(timeout=1)
            except queue.Empty:
                continue
            if result.name in names:
                done.append(result)
                with self._log.open("a") as log:
                    log.write(json.dumps(asdict(result)) + "\n")
        self._drop_waiting()
        done.sort(key=lambda result: -result.score)
        print(f"== {title}: {len(done)} of {len(pending)} at {time.monotonic() - self._start:.0f} s", flush=True)
        for result in done:
            print(f"{result.name:24} {result.duration_s:6.1f} s {result.score:6.2f} {result.scores} {result.error}")
        return done

    def _drop_waiting(self) -> None:
        try:
            while True:
                self._tasks.get(timeout=0.1)
        except queue.Empty:
            return
