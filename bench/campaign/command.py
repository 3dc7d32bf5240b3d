"""The `aftercall` commands as processes of their own, forked from one that has imported them already.

A campaign gives hundreds of commands; starting Python for each would take more time than what they do.
"""

import multiprocessing
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

from aftercall.cli import main
from tests.fixtures.killed_submit import kill_at

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    ["__main__", "bench.campaign.command", "producer.cli", "producer.admin_cli", "producer.export_cli"]
)


@dataclass(frozen=True, slots=True)
class Command:
    """A command that runs or has run."""

    arguments: tuple[str, ...]
    process: BaseProcess
    stderr: Path

    def __str__(self) -> str:
        return " ".join(Path(word).name for word in self.arguments)

    def finish(self, timeout_s: float) -> tuple[int | None, str]:
        """Exit code and message; the code is None if it had to be killed."""
        self.process.join(timeout_s)
        code = self.process.exitcode
        if code is None:
            self.process.kill()
            self.process.join()
        return code, self.stderr.read_text(encoding="utf-8", errors="replace")


def start(arguments: tuple[str, ...], environment: Mapping[str, str], stderr: Path, kill_point: str = "") -> Command:
    """Start a command; with a point, it kills itself when it comes there (tests/fixtures/killed_submit.py)."""
    stderr.touch()
    process = _CONTEXT.Process(target=_run, args=(arguments, dict(environment), stderr, kill_point))
    process.start()
    return Command(arguments, process, stderr)


def _run(arguments: tuple[str, ...], environment: dict[str, str], stderr: Path, kill_point: str) -> None:
    os.environ.update(environment)
    os.dup2(os.open(stderr, os.O_WRONLY), sys.stderr.fileno())
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if kill_point:
        kill_at(kill_point, 1)
    main(list(arguments))
