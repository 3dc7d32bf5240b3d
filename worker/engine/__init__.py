"""Engines: prompts in, completions out."""

from dataclasses import replace
from typing import TYPE_CHECKING

from worker.engine.base import Engine, SamplingSettings

if TYPE_CHECKING:
    from worker.loading.load import LoadedModel


def start_engine(loaded: "LoadedModel", sampling: SamplingSettings) -> Engine:
    """The engine for a loaded model on its device."""
    from worker.engine.build import build_engine
    from worker.engine.options import EngineOptions

    quantization = loaded.provenance.quantization
    options = replace(
        EngineOptions.for_device(loaded.device, is_int8=quantization == "int8"),
        max_model_len=loaded.max_model_len,
        is_float8=quantization == "fp8",
    )
    return build_engine(loaded.model, loaded.tokenizer, sampling, options)
