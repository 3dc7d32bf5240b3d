"""One caller's `generate`: what it still waits for. Knows no model and no scheduler."""

from threading import Event

from aftercall.errors import ModelError
from worker.engine.base import Completion, PromptFailure

Outcome = Completion | PromptFailure


class Call:
    """Collects one outcome a prompt, from the engine's thread, for the thread that waits."""

    def __init__(self, num_prompts: int) -> None:
        self._outcomes: list[Outcome | None] = [None] * num_prompts
        self._num_open = num_prompts
        self._is_over = Event()
        self._error: BaseException | None = None
        if num_prompts == 0:
            self._is_over.set()

    def settle(self, index: int, outcome: Outcome) -> None:
        """Note the outcome of one prompt; the last one wakes the caller."""
        self._outcomes[index] = outcome
        self._num_open -= 1
        if self._num_open == 0:
            self._is_over.set()

    def fail(self, error: BaseException) -> None:
        """The engine is lost, and with it what this call waits for."""
        self._error = error
        self._is_over.set()

    def wait(self) -> list[Outcome]:
        """Every outcome, in the order of the prompts; ModelError if the engine was lost meanwhile."""
        self._is_over.wait()
        if self._error is not None:
            raise ModelError(f"The engine stopped: {self._error}.") from self._error
        return [outcome for outcome in self._outcomes if outcome is not None]
