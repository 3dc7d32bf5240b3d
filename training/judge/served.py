"""Judging a model as the settings would serve it. Knows settings, folders and examples; knows no registry."""

import gc
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from aftercall.settings import Settings
from training.data.dataset import Example, load_examples
from training.data.splits import load_held_out, merge_examples
from training.judge.evaluate import Evaluation, evaluate
from training.judge.judgement import Judgement
from worker.loading.load import ModelSettings, load_model
from worker.serving.start import make_sampling


def judge_served(settings: Settings, adapter: Path | None, examples: Sequence[Example]) -> Evaluation:
    """Load base model and adapter as a worker with these settings would, and judge what they write."""
    # Whatever was loaded before is gone by now, but its memory comes back only when asked for.
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
        )
    )
    name = adapter.name if adapter else settings.base_model
    return evaluate(name, loaded, examples, make_sampling(settings, loaded.profile), settings.quantization)


def judge_base_alike(settings: Settings, ours: Evaluation, examples: Sequence[Example]) -> Judgement:
    """The base model alone, its weights rounded as they were under the adapter that `ours` is of."""
    alike = settings.model_copy(update={"quantization": ours.provenance.rounded_to})
    judged = judge_served(alike, None, examples).judgement
    # What was asked for differs, as `auto` looks at the adapter; what came of it is the same.
    return replace(judged, written_as=ours.judgement.written_as)


def load_split(sources: Sequence[str], split: str) -> list[Example]:
    """The held-out conversations of all sources, or their test split."""
    if split == "validation":
        return load_held_out(sources)
    return merge_examples(example for source in sources for example in load_examples(source, split))
