"""Changes of the model that wait for the moment between two steps. The caller guards them with its lock."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future

from aftercall.errors import ModelError

Change = Callable[[], None]


class PendingChanges:
    """Requested by threads that wait for the result, made by the engine's thread."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Change, Future[None]]] = deque()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def request(self, change: Change) -> Future[None]:
        """Queue a change; what it raises, the future raises."""
        done: Future[None] = Future()
        self._waiting.append((change, done))
        return done

    def take(self) -> list[tuple[Change, Future[None]]]:
        """All that wait, for `make`."""
        taken = list(self._waiting)
        self._waiting.clear()
        return taken

    def refuse(self) -> None:
        """Nothing will be changed any more: the engine has stopped."""
        for _, done in self.take():
            done.set_exception(stopped())


def make(change: Change, done: Future[None]) -> None:
    """Make a change for the thread that waits for it."""
    try:
        change()
    except Exception as error:
        done.set_exception(error)
    else:
        done.set_result(None)


def stopped() -> ModelError:
    """The error of a change that comes too late."""
    return ModelError("The engine has stopped.")
