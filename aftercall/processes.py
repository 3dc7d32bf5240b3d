"""Child processes and signals: Python children that import nothing from the current folder, children that die with
their parent, and signal handlers for a block of code.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_PR_SET_PDEATHSIG = 1

#: Python's own variable, the same as its option `-P`.
_SAFE_PATH = "PYTHONSAFEPATH"

#: Loaded before any fork, because nothing may be imported between fork and exec.
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def die_with_parent(number: signal.Signals) -> Callable[[], object] | None:
    """A `preexec_fn` that makes the kernel send `number` to the child when the thread that started it ends.

    None outside Linux, where kernels have no such feature.
    """
    if _LIBC is None:
        return None
    prctl = _LIBC.prctl
    return lambda: prctl(_PR_SET_PDEATHSIG, number)


def python_command(module: str, *args: str) -> list[str]:
    """The command line that runs a module of ours in a new Python process.

    `-P` keeps the current folder off its path. Without it, `python -m` would import a celery.py or worker.py that lies
    next to the user's export.
    """
    return [sys.executable, "-P", "-m", module, *args]


@contextmanager
def safe_path_for_children() -> Iterator[None]:
    """Keep the current folder off the path of Python processes that libraries start while the block runs.

    Their command lines are not ours, so that they get no `-P`: multiprocessing's begin with `python -c`, which would
    import the current folder's json.py before any code of ours runs.
    """
    before = os.environ.get(_SAFE_PATH)
    os.environ[_SAFE_PATH] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_SAFE_PATH]
        else:
            os.environ[_SAFE_PATH] = before


@contextmanager
def handling_signals(handler: Callable[[int, FrameType | None], object], *numbers: signal.Signals) -> Iterator[None]:
    """Handle these signals with `handler` while the block runs. Only the main thread can do this.

    If SIGHUP is ignored, as under `nohup`, it stays ignored.
    """
    is_deaf = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    taken = [number for number in numbers if not (is_deaf and number == signal.SIGHUP)]
    before = {number: signal.signal(number, handler) for number in taken}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
