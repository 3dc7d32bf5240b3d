"""A model that the engine would answer wrongly with, or not at all, is refused at the start, in a sentence."""

from typing import Any

import pytest
import torch
import transformers
from transformers import AutoModelForCausalLM, PreTrainedConfig

from aftercall.errors import ModelError
from tests.fixtures.model import build_byte_tokenizer, build_tiny_model
from worker.engine.attention.hook import IMPLEMENTATION
from worker.engine.attention.select import Backend
from worker.engine.base import Completion, SamplingSettings
from worker.engine.build import build_engine
from worker.engine.options import EngineOptions

SIZES = {
    "vocab_size": 257,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "initializer_range": 0.5,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "tie_word_embeddings": False,
}
BART = {
    "vocab_size": 257,
    "d_model": 64,
    "decoder_layers": 2,
    "decoder_attention_heads": 4,
    "decoder_ffn_dim": 96,
    "encoder_layers": 2,
    "encoder_attention_heads": 4,
    "max_position_embeddings": 128,
    "init_std": 0.5,
    "is_decoder": True,
    "tie_word_embeddings": False,
}
GPT2 = {"vocab_size": 257, "n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 128, "initializer_range": 0.5}
#: Keys are compressed, and longer than what the configuration calls a head.
DEEPSEEK = {
    **SIZES,
    "num_key_value_heads": 4,
    "kv_lora_rank": 16,
    "q_lora_rank": 16,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 8,
    "v_head_dim": 16,
    "first_k_dense_replace": 2,
}
FALCON_H1 = {**SIZES, "mamba_d_ssm": 64, "mamba_n_heads": 4, "mamba_d_head": 16, "mamba_d_state": 16}
OPTIONS = EngineOptions(max_num_seqs=3, max_num_batched_tokens=120, min_prefill_tokens=40)


def build(config: str, sizes: dict[str, Any]) -> Any:
    kind: type[PreTrainedConfig] = getattr(transformers, config)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return AutoModelForCausalLM.from_config(kind(**sizes)).eval()


@pytest.mark.parametrize(
    ("config", "sizes", "reason"),
    [
        ("Gemma2Config", {**SIZES, "head_dim": 16}, "`softcap`"),
        ("GptOssConfig", {**SIZES, "head_dim": 16, "num_local_experts": 4}, "`s_aux`"),
        ("BartConfig", BART, "other logits than transformers"),
        ("FalconH1Config", FALCON_H1, "other logits than transformers"),
        ("FalconConfig", SIZES, "0 attention calls"),
        ("DeepseekV2Config", DEEPSEEK, "keys are 4 heads of 16 .* promises 4 heads of 8"),
        ("DiffLlamaConfig", SIZES, "more attention calls"),
        ("BloomConfig", {"vocab_size": 257, "hidden_size": 64, "n_layer": 2, "n_head": 4}, "max_position_embeddings"),
        ("RwkvConfig", {"vocab_size": 257, "hidden_size": 64, "num_hidden_layers": 2}, "num_attention_heads"),
    ],
)
def test_a_model_that_the_engine_would_misread_is_refused(config: str, sizes: dict[str, Any], reason: str) -> None:
    model = build(config, sizes)
    with pytest.raises(ModelError, match=f"The engine cannot serve this model: .*{reason}"):
        build_engine(model, build_byte_tokenizer(), SamplingSettings(), OPTIONS)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("attention", ["whole", "gathered"])
@pytest.mark.parametrize("family", ["llama", "phi"])
def test_a_model_read_rightly_is_served_in_any_type(family: str, attention: Backend, dtype: torch.dtype) -> None:
    tiny = build_tiny_model(family)
    options = EngineOptions(2, 64, 1, attention=attention)
    engine = build_engine(tiny.model.to(dtype), tiny.tokenizer, SamplingSettings(max_new_tokens=3), options)
    [outcome] = engine.generate([tiny.encode("hello")])
    engine.close()
    assert isinstance(outcome, Completion)


def test_positions_that_are_off_by_one_are_noticed() -> None:
    """Half precision leaves room for rounding, not for this."""
    tiny = build_tiny_model("llama")
    tiny.model.to(torch.bfloat16)
    forward = tiny.model.forward

    def shifted(*args: Any, position_ids: torch.Tensor | None = None, **kwargs: Any) -> Any:
        # Rotary embeddings see differences only: those inside a prompt stay, its first token moves away.
        moved = None if position_ids is None else position_ids + (position_ids > 0)
        return forward(*args, position_ids=moved, **kwargs)

    tiny.model.forward = shifted
    with pytest.raises(ModelError, match="other logits than transformers"):
        build_engine(tiny.model, tiny.tokenizer, SamplingSettings(), OPTIONS)


def test_a_model_that_overflows_everywhere_fails_prompt_by_prompt() -> None:
    tiny = build_tiny_model("llama")
    with torch.no_grad():
        tiny.model.get_input_embeddings().weight.fill_(float("inf"))
    engine = build_engine(tiny.model, tiny.tokenizer, SamplingSettings(), OPTIONS)
    [outcome] = engine.generate([tiny.encode("hello")])
    engine.close()
    assert getattr(outcome, "code", None) == "not_a_number"


@pytest.mark.parametrize("config", ["GPT2Config", "GPTBigCodeConfig"])
def test_a_model_whose_layers_have_another_name_is_served_and_given_back(config: str) -> None:
    model, tokenizer = build(config, GPT2), build_byte_tokenizer()
    ids = torch.tensor([tokenizer("where is it?")["input_ids"]])
    tokens = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=6, do_sample=False)
    expected = tokenizer.decode(tokens[0, ids.shape[1] :])
    implementation = model.config._attn_implementation
    engine = build_engine(model, tokenizer, SamplingSettings(max_new_tokens=6, stop_string=""), OPTIONS, ())
    [outcome] = engine.generate(ids.tolist())
    engine.close()
    assert isinstance(outcome, Completion)
    assert outcome.text == expected
    assert implementation != IMPLEMENTATION
    assert model.config._attn_implementation == implementation
