"""Who is in the engine: chunks together, or one conversation alone.

A conversation that kills the process takes along whatever shares the engine with it. On its last attempt it is alone
there, so that it fails by itself and an innocent one that went down with it before gets through. Knows no job.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Isolation:
    """Lets chunks in together; whoever wants to be alone waits until it is, and nobody enters meanwhile."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._num_inside = 0
        #: Those that want to be alone, and the one that is.
        self._num_loners = 0

    @contextmanager
    def together(self) -> Iterator[None]:
        """Be in there with others."""
        with self._changed:
            self._changed.wait_for(lambda: self._num_loners == 0)
            self._num_inside += 1
        try:
            yield
        finally:
            self._leave()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Be in there with nobody else."""
        with self._changed:
            self._num_loners += 1
            self._changed.wait_for(lambda: self._num_inside == 0)
            self._num_inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._num_loners -= 1
            self._leave()

    def _leave(self) -> None:
        with self._changed:
            self._num_inside -= 1
            self._changed.notify_all()
