"""A night's source to its summaries by the command line, as the Airflow and Dagster examples do it.

Needs nothing but the standard library and `aftercall` on the machine that runs it, with the AFTERCALL_* settings of the
workers' database and Redis. Every call can be repeated: submitting a source again adds nothing twice.
"""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

#: Rows of the source were rejected; conversations failed. Both leave results to write.
REJECTED, FAILED = 4, 10
TIME_UP = 15


class AftercallError(RuntimeError):
    """The command could not do it; the message is its own."""

    def __init__(self, exit_code: int, message: str) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass
class NightJob:
    """Submits a source, waits for it and writes its summaries."""

    source: str
    out: str
    #: As `aftercall wait --timeout` takes it.
    timeout: str = "6h"
    #: As `aftercall export --format` takes it: csv, jsonl or openai.
    format: str = "csv"
    command: Sequence[str] = ("aftercall",)
    #: Settings in addition to those of this process.
    settings: Mapping[str, str] = field(default_factory=dict)
    _process: "subprocess.Popen[str] | None" = field(default=None, init=False)

    def run(self) -> dict[str, Any]:
        """Do all of it. Returns the submission's number, the file and the counts of `aftercall wait --json`.

        Raises AftercallError if the source can't be read, the servers are away, or time is up.
        """
        submitted = json.loads(self._call("submit", "--json", self.source, accepted=(0, REJECTED)))
        number = str(submitted["sources"][0]["submission"])
        waited = json.loads(self._call("wait", "--json", number, "--timeout", self.timeout, accepted=(0, FAILED)))
        self._call("export", number, "--format", self.format, "--out", self.out)
        return {"submission": int(number), "out": self.out, "counts": waited["total"]}

    def stop(self) -> None:
        """End the command that runs. Workers go on, and the next run takes up what they did."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def _call(self, *arguments: str, accepted: Sequence[int] = (0,)) -> str:
        self._process = subprocess.Popen(
            [*self.command, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **self.settings},
        )
        out, errors = self._process.communicate()
        if self._process.returncode not in accepted:
            raise AftercallError(self._process.returncode, errors.strip() or f"ended with {self._process.returncode}")
        return out
