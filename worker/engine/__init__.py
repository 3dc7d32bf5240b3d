"""Engines: prompts in, completions out."""

from typing import TYPE_CHECKING

from worker.engine.base import Engine, SamplingSettings

if TYPE_CHECKING:
    from worker.loading.load import LoadedModel


def start_engine(loaded: "LoadedModel", sampling: SamplingSettings) -> Engine:
    """The engine for a loaded model on its device."""
    from worker.engine.build import build_engine

    return build_engine(loaded.model, loaded.tokenizer, sampling)
