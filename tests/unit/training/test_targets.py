"""Target layers are found from the model, whatever its family calls and fuses them."""

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    Phi3Config,
    PhiConfig,
    PretrainedConfig,
    Qwen2Config,
)

from aftercall.errors import SettingsError
from tests.fixtures.model import build_byte_tokenizer
from tests.unit.training.examples import make_example
from training.data.splits import Splits
from training.fit.arguments import Outputs
from training.fit.lora import add_adapter
from training.fit.recipe import Recipe
from training.fit.targets import find_targets
from training.fit.train import train_adapter
from training.registry.publish import save_weights

SIZES = {
    "vocab_size": 257,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "max_position_embeddings": 256,
    "bos_token_id": 256,
    "eos_token_id": 256,
    "pad_token_id": 256,
}
FAMILIES: dict[str, tuple[type[PretrainedConfig], str, str]] = {
    "llama": (
        LlamaConfig,
        "down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_proj",
        "k_proj, o_proj, q_proj, v_proj",
    ),
    "mistral": (
        MistralConfig,
        "down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_proj",
        "k_proj, o_proj, q_proj, v_proj",
    ),
    "qwen2": (
        Qwen2Config,
        "down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_proj",
        "k_proj, o_proj, q_proj, v_proj",
    ),
    "phi": (PhiConfig, "dense, fc1, fc2, k_proj, q_proj, v_proj", "dense, k_proj, q_proj, v_proj"),
    "phi3": (Phi3Config, "down_proj, gate_up_proj, o_proj, qkv_proj", "o_proj, qkv_proj"),
    "gpt_neox": (
        GPTNeoXConfig,
        "dense, dense_4h_to_h, dense_h_to_4h, query_key_value",
        "dense, query_key_value",
    ),
    # Attention and MLP both have a `c_proj`, so attention's is told by its parent.
    "gpt2": (GPT2Config, "c_attn, c_fc, c_proj", "attn.c_proj, c_attn"),
}


def build(family: str) -> Any:
    config_class = FAMILIES[family][0]
    sizes = {**SIZES, "n_inner": 128} if family == "gpt2" else SIZES
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config_class(**sizes))


@pytest.mark.parametrize("family", FAMILIES)
def test_all_linear_and_attention_layers_are_found(family: str) -> None:
    model = build(family)
    _, all_linear, attention = FAMILIES[family]
    everything = find_targets(model, "all-linear")
    assert ", ".join(everything.names) == all_linear
    assert everything.num_layers == everything.num_linear == 2 * len(everything.names) + (2 if family == "gpt2" else 0)
    only = find_targets(model, "attention")
    assert ", ".join(only.names) == attention
    assert str(only) == f"{only.num_layers} of {everything.num_linear} linear layers: {attention}"
    # peft takes the names as they are, and finds as many layers.
    adapted = add_adapter(model, make_recipe("attention"), only)
    assert len([name for name, _ in adapted.named_modules() if name.endswith("lora_A.default")]) == only.num_layers


@pytest.mark.parametrize("targets", [("q_proj", "gate_proj"), ("wqkv",)])
def test_a_name_that_matches_nothing_is_refused_with_the_names_there_are(targets: tuple[str, ...]) -> None:
    """On Phi-3 a list of Llama's names would train two of four kinds of layers, and say nothing."""
    with pytest.raises(
        SettingsError,
        match=rf"no linear layer of this model is called {'.*'.join(sorted(targets)[:1])}.*; it has "
        r"down_proj, gate_up_proj, o_proj, qkv_proj\. Set the recipe's target_modules",
    ):
        find_targets(build("phi3"), targets)


def make_recipe(targets: str) -> Recipe:
    return Recipe(
        name="tiny",
        base="tiny",
        target_modules=targets,
        batch_size=2,
        learning_rate=1e-2,
        max_steps=2,
        max_prompt_tokens=230,
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_trained_saved_and_loaded(
    family: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, tokenizer = build(family), build_byte_tokenizer()
    examples = [make_example(str(number), "Refund sent.", user=f"order {number}") for number in range(4)]
    outputs = Outputs(folder=tmp_path / "run")
    trained, run = train_adapter(make_recipe("all-linear"), model, tokenizer, Splits(examples, examples[:1]), outputs)
    shown = capsys.readouterr().out
    assert f"LoRA of rank 16 on {find_targets(build(family), 'all-linear')}" in shown
    assert "GiB on top of the loaded model" in shown
    assert run.num_steps == 2
    ups = [weight for name, weight in trained.named_parameters() if "lora_B" in name]
    assert ups
    assert all(weight.abs().sum() > 0 for weight in ups)
    save_weights(trained, tmp_path / "saved", "tiny")
    tokens = torch.arange(20)[None]
    # peft asks newer transformers for an attribute by its former name.
    with torch.no_grad(), warnings.catch_warnings(action="ignore"):
        expected = trained.eval()(tokens).logits
        loaded = PeftModel.from_pretrained(build(family), str(tmp_path / "saved")).eval()
        # Weights are saved in bfloat16.
        torch.testing.assert_close(loaded(tokens).logits, expected, atol=2e-2, rtol=2e-2)
