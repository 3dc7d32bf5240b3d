"""Recipes: everything that decides what training does to a base model, under a name. Knows no library.

`phi-1_5-tweetsumm` is the notebook's. `smollm2-135m-tweetsumm` is what the shipped adapter was trained with.
"""

from dataclasses import dataclass
from typing import Literal

from aftercall.errors import SettingsError
from aftercall.settings import PACKAGED_MODEL
from training.fit.reference_choice import References

#: Every linear layer of a Llama block: attention and MLP.
LLAMA_LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One way to train. Frozen: an adapter's card repeats it whole."""

    name: str
    #: A base model as the worker's settings name it.
    base: str
    quantization: Literal["nf4", "int8", "none", "auto"]
    compute_dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    target_modules: tuple[str, ...]
    references: References = "all"
    #: How the model is asked: the name of a profile that ships, or the path of a TOML file.
    profile: str = "tweetsumm-1"
    lora_r: int = 16
    lora_alpha: int = 16
    lora_dropout: float = 0.05
    is_rank_stabilized: bool = False
    #: Conversations a step and device; their references come along.
    batch_size: int = 4
    num_accumulated_batches: int = 1
    learning_rate: float = 2e-4
    schedule: str = "cosine"
    #: Share of all steps in which the learning rate rises.
    warmup_share: float = 0.0
    weight_decay: float = 0.0
    num_epochs: float = 1.0
    #: Ends training after so many steps; 0: the epochs decide.
    max_steps: int = 0
    #: A conversation whose prompt is longer is cut as serving cuts it.
    max_prompt_tokens: int = 1024
    is_gradient_checkpointing: bool = False
    #: Epochs without a better validation loss after which training stops; 0: never.
    patience: int = 0
    seed: int = 42
    #: Another order of the conversations, from the same initial weights.
    data_order: int = 0
    #: Runs, each in another order, whose weights are averaged.
    num_averaged_runs: int = 1


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="phi-1_5-tweetsumm",
            base="microsoft/phi-1_5",
            quantization="nf4",
            compute_dtype="float16",
            # The notebook's Wqkv and out_proj: transformers splits the first in three and calls the second dense.
            target_modules=("q_proj", "k_proj", "v_proj", "dense"),
            references="first",
        ),
        Recipe(
            name="smollm2-135m-tweetsumm",
            base=PACKAGED_MODEL,
            quantization="none",
            compute_dtype="float32",
            target_modules=LLAMA_LAYERS,
            references="agreeing",
            batch_size=5,
            learning_rate=2e-3,
            warmup_share=0.05,
            num_epochs=2,
            seed=1,
        ),
    )
}


def get_recipe(name: str) -> Recipe:
    """A recipe by name; SettingsError names those there are."""
    if name not in RECIPES:
        raise SettingsError(f"no recipe {name!r}; there are: {', '.join(sorted(RECIPES))}")
    return RECIPES[name]
