"""Adds a recipe's untrained adapter to a model."""

import warnings
from typing import Any

from peft import LoraConfig, get_peft_model

from training.fit.recipe import Recipe
from training.fit.targets import FoundLayers


def add_adapter(model: Any, recipe: Recipe, found: FoundLayers) -> Any:
    """The model with an untrained adapter on the layers found in it."""
    with warnings.catch_warnings():
        # peft asks newer transformers for an attribute by its former name.
        warnings.simplefilter("ignore", FutureWarning)
        return get_peft_model(model, make_lora(recipe, found))


def make_lora(recipe: Recipe, found: FoundLayers) -> LoraConfig:
    """The recipe's LoRA settings as a peft configuration."""
    return LoraConfig(
        r=recipe.lora_r,
        lora_alpha=recipe.lora_alpha,
        lora_dropout=recipe.lora_dropout,
        use_rslora=recipe.is_rank_stabilized,
        target_modules=list(found.names),
        fan_in_fan_out=found.is_transposed,
        bias="none",
        task_type="CAUSAL_LM",
    )
