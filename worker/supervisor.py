"""Keeps one worker process per GPU alive: starts, names and restarts them, and passes signals on.

The caller gives the command that a child runs. Nothing here depends on what that is: the tests use small scripts.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import FrameType

from aftercall.errors import EXIT_INTERRUPTED, AdapterError, ModelError, SchemaError, SettingsError
from aftercall.logs import say_now
from aftercall.processes import die_with_parent, handling_signals
from worker.gpus import Gpu, choose_gpus
from worker.names import claim_name

#: Maps a GPU's number (None for the CPU) and a worker's name to the command of that worker.
CommandFor = Callable[[int | None, str], list[str]]

#: Errors that a restart would only repeat. A lost broker or database comes back, so those exits are restarted.
FINAL_EXIT_CODES = frozenset({error.exit_code for error in (SettingsError, SchemaError, ModelError)})

#: Final at the start. Later, a newly promoted adapter may still be on its way to this machine, so a restart may help.
ADAPTER_EXIT_CODE = AdapterError.exit_code

#: Python's exit code after an unexpected exception. A restart may help, but not the fifth time.
UNEXPECTED_EXIT_CODE = 1


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """How long to wait before a dead child is started again."""

    first_delay_s: float = 1.0
    max_delay_s: float = 30.0
    #: After a child has run for this long, its next restart waits for the first delay again.
    healthy_after_s: float = 60.0
    #: Stop all workers after this many unexpected early exits in a row.
    max_unexpected: int = 5

    def delay_s(self, num_failures: int) -> float:
        """Seconds to wait after the `num_failures`-th early exit in a row, counted from 1."""
        # The exponent is bounded: a child may fail for weeks, and 2.0 ** 1024 overflows.
        return min(self.max_delay_s, self.first_delay_s * 2.0 ** min(num_failures - 1, 30))


@dataclass(slots=True)
class _Slot:
    """One worker's slot: its process is replaced, its name and GPU stay."""

    name: str
    gpu: Gpu | None
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    #: When to start it (again), on the monotonic clock.
    due_at: float = 0.0
    num_failures: int = 0


@dataclass
class Supervisor:
    """Runs a command for each GPU until it is told to stop; `run` returns the exit code."""

    #: None stands for one worker on the CPU.
    gpus: Sequence[Gpu | None]
    command_for: CommandFor
    policy: RestartPolicy = field(default_factory=RestartPolicy)
    poll_s: float = 0.1
    #: A child that has not ended this long after SIGTERM is killed.
    stop_timeout_s: float = 60.0

    def __post_init__(self) -> None:
        # Held as long as this object: the locks end with their files.
        self._names = [claim_name(worker_name(gpu)) for gpu in self.gpus]
        self._children = [_Slot(claimed.name, gpu) for claimed, gpu in zip(self._names, self.gpus, strict=True)]
        self._num_interrupts = 0
        self._is_stopping = False
        self._exit_code = 0
        self._has_served = False

    def run(self) -> int:
        """Keep the children running; return 0 after SIGTERM, 130 after Ctrl-C, or a child's final exit code.

        Call it from the main thread: only that one receives signals.
        """
        with handling_signals(self._on_signal, signal.SIGTERM, signal.SIGINT):
            try:
                while not self._is_stopping:
                    self._start_due()
                    time.sleep(self.poll_s)
                    self._reap_exited()
                self._drain()
            finally:
                self._signal_all(signal.SIGKILL)
        return self._exit_code

    def _start_due(self) -> None:
        for child in self._children:
            if child.process is None and time.monotonic() >= child.due_at and not self._is_stopping:
                number = child.gpu.number if child.gpu else None
                child.process = _start(self.command_for(number, child.name), child.gpu)
                child.started_at = time.monotonic()

    def _reap_exited(self) -> None:
        for child in self._children:
            if child.process is not None and (code := child.process.poll()) is not None:
                child.process = None
                self._plan_restart(child, code)

    def _plan_restart(self, child: _Slot, code: int) -> None:
        if self._is_stopping:
            return
        is_healthy = self._is_healthy(child)
        child.num_failures = 1 if is_healthy else child.num_failures + 1
        # A wrong adapter fails before anything is served, however long the base model took to download.
        self._has_served |= is_healthy and code != ADAPTER_EXIT_CODE
        if self._is_final(code, child.num_failures):
            _say(f"{child.name} {_describe(code)}: a restart would not help; stopping all workers.")
            self._stop(code)
            return
        delay_s = self.policy.delay_s(child.num_failures)
        child.due_at = time.monotonic() + delay_s
        _say(f"{child.name} {_describe(code)}; starting it again in {delay_s:g} s.")

    def _is_final(self, code: int, num_failures: int) -> bool:
        """Whether an exit ends all workers."""
        if code == ADAPTER_EXIT_CODE:
            # Not final once anything has served: the other workers keep serving the adapter that they have.
            return not (self._has_served or any(child.process and self._is_healthy(child) for child in self._children))
        is_persistent = code == UNEXPECTED_EXIT_CODE and num_failures >= self.policy.max_unexpected
        return code in FINAL_EXIT_CODES or is_persistent

    def _is_healthy(self, child: _Slot) -> bool:
        return time.monotonic() - child.started_at >= self.policy.healthy_after_s

    def _drain(self) -> None:
        """Ask the children to stop and wait for them. Each limits its own drain, unless it hangs."""
        self._signal_all(signal.SIGTERM)
        deadline = time.monotonic() + self.stop_timeout_s
        while running := [child for child in self._children if child.process and child.process.poll() is None]:
            if time.monotonic() > deadline:
                names = ", ".join(child.name for child in running)
                _say(f"{names} did not stop within {self.stop_timeout_s:g} s and will be killed.")
                return
            time.sleep(self.poll_s)

    def _stop(self, exit_code: int) -> None:
        self._exit_code = exit_code
        self._is_stopping = True

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._num_interrupts += number == signal.SIGINT
        if self._num_interrupts >= 2:
            _say("stopping at once; unfinished conversations will be done again.")
            self._signal_all(signal.SIGKILL)
        elif not self._is_stopping:
            _say("waiting for the workers to finish what they hold; Ctrl-C again stops at once.")
            self._stop(EXIT_INTERRUPTED if number == signal.SIGINT else 0)

    def _signal_all(self, number: signal.Signals) -> None:
        for child in self._children:
            if child.process is not None:
                child.process.send_signal(number)


def supervise(gpus: str, command_for: CommandFor, stop_timeout_s: float) -> int:
    """Run one worker for each GPU that `gpus` (all, auto, none, 0,1 …) means; return the exit code.

    A worker that has not ended `stop_timeout_s` seconds after SIGTERM is killed.
    """
    return Supervisor(choose_gpus(gpus), command_for, stop_timeout_s=stop_timeout_s).run()


def worker_name(gpu: Gpu | None) -> str:
    """`aftercall-gpu0`, or `aftercall-cpu` without a GPU. `claim_name` makes it unique, and Celery adds the host."""
    return f"aftercall-gpu{gpu.number}" if gpu else "aftercall-cpu"


def _start(command: list[str], gpu: Gpu | None) -> subprocess.Popen[bytes]:
    """Start a child that sees one GPU, gets no Ctrl-C from the terminal, and ends when its supervisor does."""
    return subprocess.Popen(
        command,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": gpu.device if gpu else ""},
        # A terminal sends Ctrl-C to its whole process group; the children get one SIGTERM from us instead.
        start_new_session=True,
        preexec_fn=die_with_parent(signal.SIGKILL),
    )


def _describe(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    return f"was killed by {signal.Signals(-code).name}"


def _say(line: str) -> None:
    say_now(line, name="supervisor")
