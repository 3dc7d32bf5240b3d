"""What a worker serves with: one model behind one engine, and the provenance that its summaries carry."""

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from aftercall.prompt import PROMPT_VERSION
from worker.engine.base import Engine, SamplingSettings

if TYPE_CHECKING:
    from worker.model import ModelProvenance


@dataclass(frozen=True, slots=True)
class Served:
    """Engine and tokenizer of one loaded model."""

    engine: Engine
    #: transformers' own tokenizer of the base model.
    tokenizer: Any
    model: "ModelProvenance"
    sampling: SamplingSettings

    @property
    def provenance(self) -> dict[str, str]:
        """The columns of a summary's row that are the same for every summary of this model."""
        return {
            "base_model": self.model.base_model,
            "adapter_digest": self.model.adapter_digest,
            "quantization": self.model.quantization,
            "compute_dtype": self.model.dtype,
            "prompt_version": PROMPT_VERSION,
            "generation": json.dumps(asdict(self.sampling), sort_keys=True),
        }
