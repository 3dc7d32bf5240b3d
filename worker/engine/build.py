"""From a loaded model to a running engine."""

from collections.abc import Collection
from typing import Any

from worker.engine.base import SamplingSettings
from worker.engine.engine import BatchingEngine
from worker.engine.memory.pages import PagePool
from worker.engine.options import EngineOptions
from worker.engine.runner import ModelRunner
from worker.engine.scheduler import Limits, Scheduler
from worker.engine.stopping import StopRule


def build_engine(
    model: Any,
    tokenizer: Any,
    settings: SamplingSettings,
    options: EngineOptions | None = None,
    eos_token_ids: Collection[int] | None = None,
) -> BatchingEngine:
    """An engine that owns `model` until it is closed.

    Args:
        model: a transformers causal language model on its device, in evaluation mode; with or without an adapter.
        tokenizer: its transformers tokenizer.
        options: sizes; what suits the model's device by default.
        eos_token_ids: ends of text; the model's own by default, none in benchmarks of fixed length.
    """
    options = options or EngineOptions.for_device(model.device, is_int8=getattr(model, "is_loaded_in_8bit", False))
    if eos_token_ids is None:
        eos_token_ids = _eos_token_ids(model, tokenizer)
    rule = StopRule(tokenizer, settings.stop_string, eos_token_ids)
    runner = ModelRunner(model, settings, options)
    return assemble_engine(runner, rule, settings, runner.options)


def assemble_engine(
    runner: ModelRunner, rule: StopRule, settings: SamplingSettings, options: EngineOptions
) -> BatchingEngine:
    """An engine over a runner that is there already."""
    limits = Limits(
        max_num_seqs=options.max_num_seqs,
        max_num_batched_tokens=options.max_num_batched_tokens,
        min_prefill_tokens=options.min_prefill_tokens,
    )
    scheduler = Scheduler(limits, PagePool(runner.num_pages, runner.page_size))
    return BatchingEngine(runner, scheduler, rule, settings)


def _eos_token_ids(model: Any, tokenizer: Any) -> set[int]:
    """Every end that `generate` would stop at: the generation configuration's, and the tokenizer's."""
    configured = getattr(model.generation_config, "eos_token_id", None)
    ids = configured if isinstance(configured, list) else [configured]
    return {id_ for id_ in (*ids, tokenizer.eos_token_id) if id_ is not None}
