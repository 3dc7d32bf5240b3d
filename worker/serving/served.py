"""One model behind one engine, the provenance that its summaries carry, and the swap of its adapter."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from aftercall.profile import TWEETSUMM, Profile
from worker.engine.base import Engine, SamplingSettings
from worker.serving.isolation import Isolation

if TYPE_CHECKING:
    from worker.loading.load import ModelProvenance
    from worker.serving.hot_swap import LiveAdapter


#: For which conversations the best of several completions is chosen: none, those whose first one needs review, all.
Tries = Literal["off", "auto", "all"]

#: Completions that are sampled for a conversation besides its first one, where several are tried.
NUM_SAMPLES = 4


@dataclass(frozen=True, slots=True)
class Served:
    """Engine and tokenizer of one loaded model."""

    engine: Engine
    #: transformers' own tokenizer of the base model.
    tokenizer: Any
    provenance: "ModelProvenance"
    sampling: SamplingSettings
    #: Swaps the model's adapter; None: the model stays as it was loaded.
    live_adapter: "LiveAdapter | None" = None
    #: How the model is asked, and what is read from its answer.
    profile: Profile = TWEETSUMM
    tries: Tries = "off"

    @property
    def columns(self) -> dict[str, Any]:
        """The columns of a summary's row that are the same for every summary of this model."""
        return {
            "base_model": self.provenance.base_model,
            "adapter_digest": self.provenance.adapter_digest,
            "quantization": self.provenance.quantization,
            "compute_dtype": self.provenance.dtype,
            "prompt_version": self.profile.id,
            "profile": self.profile.name,
            "generation": json.dumps(asdict(self.sampling) | {"tries": self.tries}, sort_keys=True),
        }


@dataclass(frozen=True, slots=True)
class Pause:
    """How long an adapter swap held up generation."""

    #: From the request until the last running call ended; the engine works on fewer and fewer sequences.
    drain_s: float
    #: From then until the next call may begin; the engine is idle.
    idle_s: float


class Serving:
    """What is served at this moment. Every engine call begins and ends under one adapter.

    Calls run concurrently. A swap waits for the running ones and then runs alone; calls that arrive meanwhile wait for
    the swap.
    """

    def __init__(self, served: Served) -> None:
        self._now = served
        self._isolation = Isolation()

    @property
    def now(self) -> Served:
        """What is served. The adapter may be another one by the next call: use `using` for that."""
        return self._now

    @contextmanager
    def using(self) -> Iterator[Served]:
        """What is served, unchanged until the block ends."""
        with self._isolation.together():
            yield self._now

    def swap(self, change: Callable[[], "ModelProvenance"]) -> Pause:
        """Call `change`, which replaces the weights, while no engine call runs; serve what it returns.

        If it raises, the engine is closed, because the weights may be half changed.
        """
        requested_at = time.monotonic()
        with self._isolation.alone():
            drained_at = time.monotonic()
            try:
                self._now = replace(self._now, provenance=change())
            except BaseException:
                self._now.engine.close()
                raise
            return Pause(drained_at - requested_at, time.monotonic() - drained_at)

    def close(self) -> None:
        """Close the engine; running sequences come back as aborted."""
        self._now.engine.close()
