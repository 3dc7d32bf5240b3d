"""A lock with two modes: many holders together, or one alone.

A conversation that kills the process takes down every other conversation in the engine. On its last attempt it runs
alone, so that it fails by itself and the innocent ones get through. An adapter swap runs alone for another reason: no
engine call may see half of one adapter and half of another.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Isolation:
    """Admits holders together, or one alone, which waits for the others to leave while no new ones enter."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._num_inside = 0
        #: Those that wait to be alone, plus the one that is.
        self._num_exclusive = 0

    @contextmanager
    def together(self) -> Iterator[None]:
        """Hold the lock together with others while the block runs."""
        with self._changed:
            self._changed.wait_for(lambda: self._num_exclusive == 0)
            self._num_inside += 1
        try:
            yield
        finally:
            self._leave()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the lock alone while the block runs."""
        with self._changed:
            self._num_exclusive += 1
            self._changed.wait_for(lambda: self._num_inside == 0)
            self._num_inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._num_exclusive -= 1
            self._leave()

    def _leave(self) -> None:
        with self._changed:
            self._num_inside -= 1
            self._changed.notify_all()
