"""Evaluates a model as a worker with the given settings would serve it."""

import gc
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from aftercall.settings import Settings
from training.data.dataset import DEFAULT_READING, Example, load_examples
from training.data.labelled import Reading
from training.data.splits import load_held_out, merge_examples
from training.judge.evaluate import Evaluation, evaluate
from training.judge.judgement import Judgement
from worker.loading.load import ModelSettings, load_model
from worker.serving.start import make_sampling


def judge_served(settings: Settings, adapter: Path | None, examples: Sequence[Example]) -> Evaluation:
    """Load base model and adapter as a worker with these settings would, and evaluate them."""
    # Models often hold reference cycles, so a model that was loaded before is freed only by a collection.
    gc.collect()
    torch.cuda.empty_cache()
    loaded = load_model(
        ModelSettings(
            settings.base_model,
            settings.quantization,
            settings.compute_dtype,
            adapter,
            "auto",
            settings.data_dir,
            may_dequantize=True,
            profile=settings.profile,
            max_model_len=settings.max_model_len,
        )
    )
    name = loaded.provenance.adapter_digest or settings.base_model
    sampling = make_sampling(settings, loaded.profile)
    return evaluate(name, loaded, examples, sampling, settings.quantization, settings.tries)


def judge_base_alike(settings: Settings, ours: Evaluation, examples: Sequence[Example]) -> Judgement:
    """Judge the base model alone, with its weights quantized as they were under the adapter of `ours`."""
    alike = settings.model_copy(update={"quantization": ours.provenance.rounded_to})
    judged = judge_served(alike, None, examples).judgement
    # The setting differs, since `auto` depends on the adapter; the weights in memory are the same.
    return replace(judged, written_as=ours.judgement.written_as)


def load_split(sources: Sequence[str], split: str, reading: Reading = DEFAULT_READING) -> list[Example]:
    """The held-out conversations of all sources, or those of their test split."""
    if split == "validation":
        return load_held_out(sources, reading)
    return merge_examples(example for source in sources for example in load_examples(source, split, reading))
