"""The seconds a run has taken, those before it was resumed included. Knows transformers' checkpoints of callbacks."""

import time
from typing import Any

from transformers import TrainerCallback
from transformers.trainer_callback import ExportableState


class Stopwatch(TrainerCallback, ExportableState):  # type: ignore[misc]  # transformers does not export its types
    """Kept in each checkpoint, and made anew from it: what a run did after its last checkpoint does not count."""

    def __init__(self, before_s: float = 0.0) -> None:
        self._before_s = before_s
        self._begun_at = time.monotonic()

    def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
        """Loading and compiling what is trained does not count."""
        self._begun_at = time.monotonic()

    def read(self) -> float:
        """The seconds so far."""
        return self._before_s + time.monotonic() - self._begun_at

    def state(self) -> dict[str, Any]:
        """What `__init__` is called with when a run goes on from here."""
        return {"args": {"before_s": self.read()}, "attributes": {}}
