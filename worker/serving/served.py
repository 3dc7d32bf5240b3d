"""What a worker serves with: one model behind one engine, and the provenance that its summaries carry."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from aftercall.profile import TWEETSUMM, Profile
from worker.engine.base import Engine, SamplingSettings
from worker.serving.isolation import Isolation

if TYPE_CHECKING:
    from worker.loading.load import ModelProvenance
    from worker.serving.hot_swap import LiveAdapter


@dataclass(frozen=True, slots=True)
class Served:
    """Engine and tokenizer of one loaded model."""

    engine: Engine
    #: transformers' own tokenizer of the base model.
    tokenizer: Any
    provenance: "ModelProvenance"
    sampling: SamplingSettings
    #: Puts another adapter's weights under the engine; None: the model stays as it was loaded.
    live_adapter: "LiveAdapter | None" = None
    #: How the model is asked, and what is read from its answer.
    profile: Profile = TWEETSUMM

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
            "generation": json.dumps(asdict(self.sampling), sort_keys=True),
        }


@dataclass(frozen=True, slots=True)
class Pause:
    """How long an exchange held generation up."""

    #: From its request until the last call that was under way had ended; the engine works, on fewer and fewer.
    drain_s: float
    #: From then until the next call may begin; the engine has nothing to do.
    idle_s: float


class Serving:
    """What is served at this moment. A call of the engine begins and ends under one adapter.

    Calls run together; an exchange waits for those under way, runs alone, and what asked meanwhile goes on after it.
    """

    def __init__(self, served: Served) -> None:
        self._now = served
        self._isolation = Isolation()

    @property
    def now(self) -> Served:
        """What is served; of its adapter this says nothing about the next call."""
        return self._now

    @contextmanager
    def using(self) -> Iterator[Served]:
        """What is served, and stays so until the block ends."""
        with self._isolation.together():
            yield self._now

    def exchange(self, change: Callable[[], "ModelProvenance"]) -> Pause:
        """Let `change` put other weights under the engine; what it returns is what is served from then on.

        If it raises, the engine is closed: nobody knows what is under it.
        """
        asked = time.monotonic()
        with self._isolation.alone():
            drained = time.monotonic()
            try:
                self._now = replace(self._now, provenance=change())
            except BaseException:
                self._now.engine.close()
                raise
            return Pause(drained - asked, time.monotonic() - drained)

    def close(self) -> None:
        """Close the engine; what runs comes back aborted."""
        self._now.engine.close()
