"""Judging a model as the settings would serve it. Knows settings, folders and examples; knows no registry."""

from collections.abc import Sequence
from pathlib import Path

from aftercall.settings import Settings
from training.dataset import Example, load_examples
from training.evaluate import Evaluation, evaluate
from training.splits import load_splits, merge_examples
from worker.engine.base import SamplingSettings
from worker.model import ModelSettings, load_model


def judge_served(
    settings: Settings, adapter: Path | None, examples: Sequence[Example], sampling: SamplingSettings
) -> Evaluation:
    """Load base model and adapter as a worker with these settings would, and judge what they write."""
    loaded = load_model(
        ModelSettings(
            settings.base_model,
            settings.quantization,
            settings.compute_dtype,
            adapter,
            "auto",
            settings.data_dir,
            may_dequantize=True,
        )
    )
    return evaluate(adapter.name if adapter else settings.base_model, loaded, examples, sampling)


def load_split(sources: Sequence[str], split: str) -> list[Example]:
    """The held-out conversations of all sources, or their test split."""
    if split == "validation":
        return list(load_splits(sources).validation)
    return merge_examples(example for source in sources for example in load_examples(source, split))
