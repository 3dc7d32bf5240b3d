"""Measures a run's seconds, including those before it was resumed."""

import time
from typing import Any

from transformers import TrainerCallback
from transformers.trainer_callback import ExportableState


class Stopwatch(TrainerCallback, ExportableState):  # type: ignore[misc]  # transformers does not export its types
    """Saved in each checkpoint and restored from it. The time after the last checkpoint of a killed run is lost."""

    def __init__(self, before_s: float = 0.0) -> None:
        self._before_s = before_s
        self._begun_at = time.monotonic()

    def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
        """Start counting here, so that loading and compiling are not included."""
        self._begun_at = time.monotonic()

    def read(self) -> float:
        """The seconds of training so far."""
        return self._before_s + time.monotonic() - self._begun_at

    def state(self) -> dict[str, Any]:
        """The arguments that `__init__` gets when a run is resumed from this checkpoint."""
        return {"args": {"before_s": self.read()}, "attributes": {}}
