"""The engine's greedy completions are transformers' own, token for token in float32."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from aftercall.prompt import build_prompt
from tests.fixtures.model import TinyModel, build_tiny_model
from tests.fixtures.tensor_attention import Replayed, TensorAttention
from worker.engine import runner
from worker.engine.attention.select import Backend
from worker.engine.base import Completion, Engine, SamplingSettings
from worker.engine.build import build_engine
from worker.engine.options import EngineOptions
from worker.loading.load import LoadedModel

TWEETSUMM = Path(__file__).resolve().parents[3] / "shared/data/tweetsumm/validation.jsonl"

#: Small enough that prompts wait, join late and are preempted.
CRAMPED = EngineOptions(max_num_seqs=3, max_num_batched_tokens=300, min_prefill_tokens=100)


def generate_text(model: Any, tokenizer: Any, prompt: list[int], max_new_tokens: int) -> str:
    """transformers' completion of one prompt, cut where the engine cuts it."""
    ids = torch.tensor([prompt], device=model.device)
    output = model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=max_new_tokens,
        do_sample=False,
        stop_strings=[SamplingSettings().stop_string],
        tokenizer=tokenizer,
        pad_token_id=tokenizer.pad_token_id,
    )
    text: str = tokenizer.decode(output[0, len(prompt) :], skip_special_tokens=True)
    return text.partition(SamplingSettings().stop_string)[0]


def complete(engine: Engine, prompts: list[list[int]]) -> list[str]:
    outcomes = engine.generate(prompts)
    assert all(isinstance(outcome, Completion) for outcome in outcomes), outcomes
    return [outcome.text for outcome in outcomes if isinstance(outcome, Completion)]


def tiny_prompts(tiny: TinyModel) -> list[list[int]]:
    return [tiny.encode("user: " + "where is my parcel? " * (index % 11) + str(index)) for index in range(24)]


@pytest.mark.parametrize("attention", ["whole", "gathered"])
def test_tiny_models_match_generate(tiny_model: TinyModel, attention: Backend) -> None:
    prompts = tiny_prompts(tiny_model)
    expected = [generate_text(tiny_model.model, tiny_model.tokenizer, prompt, 20) for prompt in prompts]
    assert len(set(expected)) > 12, "the model says too little to compare"
    options = replace(CRAMPED, attention=attention)
    engine = build_engine(tiny_model.model, tiny_model.tokenizer, SamplingSettings(max_new_tokens=20), options)
    assert complete(engine, prompts) == expected
    engine.close()


@pytest.mark.parametrize("max_num_seqs", [3, 20])
def test_steps_filled_up_to_a_captured_size_match_generate(
    tiny_model: TinyModel, max_num_seqs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a GPU no graph is captured, but the steps are filled up and see tensors alone, as captured ones do."""
    monkeypatch.setattr(runner, "StepGraph", Replayed)
    monkeypatch.setattr(runner, "choose_backend", lambda *_: TensorAttention())
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: None)
    Replayed.num_replayed = 0
    prompts = [*tiny_prompts(tiny_model), tiny_model.encode("where is my parcel? " * 11)]
    expected = [generate_text(tiny_model.model, tiny_model.tokenizer, prompt, 20) for prompt in prompts]
    # Some batches have more prompts than any captured one, and one prompt is longer.
    options = EngineOptions(max_num_seqs, max_num_batched_tokens=200, min_prefill_tokens=100)
    engine = build_engine(tiny_model.model, tiny_model.tokenizer, SamplingSettings(max_new_tokens=20), options)
    assert complete(engine, prompts) == expected
    assert Replayed.num_replayed > 20
    engine.close()


@pytest.mark.parametrize("attention", ["whole", "gathered"])
def test_a_prompt_that_is_read_once_for_several_completions_reads_the_same(
    tiny_model: TinyModel, attention: Backend
) -> None:
    prompts = tiny_prompts(tiny_model)[:8]
    settings = SamplingSettings(max_new_tokens=20, num_samples=3)
    options = EngineOptions(8, max_num_batched_tokens=300, min_prefill_tokens=100, attention=attention)
    engine = build_engine(tiny_model.model, tiny_model.tokenizer, settings, options)
    draws = [0, 1, 2, 3] * len(prompts)
    outcomes = engine.generate([prompt for prompt in prompts for _ in range(4)], draws)
    together = [outcome.text for outcome in outcomes if isinstance(outcome, Completion)]
    alone = [
        outcome.text
        for prompt in prompts
        for draw in range(4)
        for outcome in engine.generate([prompt], [draw])
        if isinstance(outcome, Completion)
    ]
    engine.close()
    assert together == alone
    assert together[::4] == [generate_text(tiny_model.model, tiny_model.tokenizer, prompt, 20) for prompt in prompts]
    assert len(set(together)) > 16, "the samples are too alike to compare"


# peft asks transformers by the old name
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
@pytest.mark.parametrize("is_quantized", [False, True])
def test_adapters_and_nf4_match_generate(tiny_model: TinyModel, is_quantized: bool, tmp_path: Path) -> None:
    model, prompts = tiny_model.model, tiny_prompts(tiny_model)[:8]
    if is_quantized:
        model.save_pretrained(tmp_path)
        config = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4")
        model = AutoModelForCausalLM.from_pretrained(tmp_path, quantization_config=config, dtype=torch.float32)
        for layer in model.modules():
            # Some CPUs multiply 4 bits in bfloat16: rounded so, two scores may be one, and the batch decides.
            layer.support_avx512bf16_for_cpu = False
    plain = [generate_text(model, tiny_model.tokenizer, prompt, 16) for prompt in prompts]
    lora = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        adapted = get_peft_model(model, lora).eval()
    expected = [generate_text(adapted, tiny_model.tokenizer, prompt, 16) for prompt in prompts]
    assert expected != plain, "the adapter changes nothing: the test shows nothing"
    engine = build_engine(adapted, tiny_model.tokenizer, SamplingSettings(max_new_tokens=16), CRAMPED)
    assert complete(engine, prompts) == expected
    engine.close()


def test_the_model_comes_back_as_it_was(tiny_model: TinyModel) -> None:
    model, prompt = tiny_model.model, tiny_prompts(tiny_model)[5]
    before = generate_text(model, tiny_model.tokenizer, prompt, 20)
    names = [name for name, _ in model.named_modules()]
    engine = build_engine(model, tiny_model.tokenizer, SamplingSettings(max_new_tokens=20), CRAMPED)
    complete(engine, [prompt])
    engine.close()
    assert [name for name, _ in model.named_modules()] == names
    assert generate_text(model, tiny_model.tokenizer, prompt, 20) == before


def test_threads_share_the_engine_and_get_their_own(tiny_model: TinyModel) -> None:
    prompts = tiny_prompts(tiny_model)
    engine = build_engine(tiny_model.model, tiny_model.tokenizer, SamplingSettings(max_new_tokens=20), CRAMPED)
    expected = complete(engine, prompts)
    with ThreadPoolExecutor(6) as pool:
        chunks = [prompts[first : first + 4] for first in range(0, len(prompts), 4)]
        completed = [text for texts in pool.map(lambda chunk: complete(engine, chunk), chunks) for text in texts]
    engine.close()
    assert completed == expected


@pytest.mark.parametrize("max_num_seqs", [1, 5])
def test_draws_do_not_depend_on_the_batch(max_num_seqs: int) -> None:
    def complete_all(options: EngineOptions, seed: int) -> list[str]:
        tiny = build_tiny_model("llama")
        settings = SamplingSettings(max_new_tokens=20, do_sample=True, temperature=2.0, seed=seed)
        engine = build_engine(tiny.model, tiny.tokenizer, settings, options)
        texts = complete(engine, tiny_prompts(tiny))
        engine.close()
        return texts

    first = complete_all(CRAMPED, 7)
    assert complete_all(EngineOptions(max_num_seqs, 400, 1), 7) == first
    assert complete_all(CRAMPED, 8) != first


def test_the_packaged_model_matches_generate_on_real_conversations(loaded_model: LoadedModel) -> None:
    if not TWEETSUMM.is_file():
        pytest.skip(f"{TWEETSUMM} is not there: the parity check reads TweetSumm")
    model, tokenizer = loaded_model.model, loaded_model.tokenizer
    prompts = [tokenizer(build_prompt(text))["input_ids"] for text in conversations(6)]
    expected = [generate_text(model, tokenizer, prompt, 30) for prompt in prompts]
    engine = build_engine(model, tokenizer, SamplingSettings(max_new_tokens=30), EngineOptions(4, 1024, 256))
    assert complete(engine, prompts) == expected
    engine.close()


def conversations(num_conversations: int) -> list[str]:
    with TWEETSUMM.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line, _ in zip(lines, range(num_conversations), strict=False)]
    return [
        "\n".join(f"user: {turn['user utterance']}\nagent: {turn['system response']}" for turn in row["log"])
        for row in rows
    ]
