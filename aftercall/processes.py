"""Signal handlers for a block of code, and children that die with their parent."""

import ctypes
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_PR_SET_PDEATHSIG = 1

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
