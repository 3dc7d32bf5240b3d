"""What a child process is started with, so that it never outlives the one that started it."""

import ctypes
import signal
import sys
from collections.abc import Callable

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
