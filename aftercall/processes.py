"""What a process is to do on signals, and a child that it starts when it ends: nothing is left running."""

import ctypes
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_PR_SET_PDEATHSIG = 1

#: Loaded before any fork: between fork and exec nothing may be imported.
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def die_with_parent(number: signal.Signals) -> Callable[[], object] | None:
    """A `preexec_fn` by which the kernel sends `number` to the child when the thread that started it ends.

    None where the kernel has no such thing (it is Linux's own).
    """
    if _LIBC is None:
        return None
    prctl = _LIBC.prctl
    return lambda: prctl(_PR_SET_PDEATHSIG, number)


@contextmanager
def handling_signals(handler: Callable[[int, FrameType | None], object], *numbers: signal.Signals) -> Iterator[None]:
    """Give these signals to `handler` while the block runs. From the main thread, which alone receives signals.

    A hang-up that is ignored stays so: `nohup` asked for that.
    """
    is_deaf = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    taken = [number for number in numbers if not (is_deaf and number == signal.SIGHUP)]
    before = {number: signal.signal(number, handler) for number in taken}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
