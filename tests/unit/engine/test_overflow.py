"""A prompt on which the model's numbers overflow fails alone: neither its neighbours nor who gets its pages notice."""

import pytest
import torch

from tests.fixtures.model import TinyModel, build_tiny_model
from worker.engine.attention.select import Backend
from worker.engine.base import Completion, Engine, PromptFailure, SamplingSettings
from worker.engine.build import build_engine
from worker.engine.options import EngineOptions
from worker.engine.runner import ModelRunner
from worker.jobs.summarizer import FINAL_CODES

#: No other prompt has it, and no completion.
OVERFLOWING = "~"
GREEDY = SamplingSettings(max_new_tokens=8)
DRAWING = SamplingSettings(max_new_tokens=8, do_sample=True)
EVERY_DRAW = SamplingSettings(max_new_tokens=8, do_sample=True, top_k=0, top_p=1.0)
#: Of unlike length, so that short sequences lie beside longer ones.
TEXTS = [f"{index}: " + "where is it? " * (index * 5 % 9) for index in range(8)]


def overflowing_model() -> TinyModel:
    tiny = build_tiny_model("llama")
    [token] = tiny.encode(OVERFLOWING)
    with torch.no_grad():
        tiny.model.get_input_embeddings().weight[token] = float("inf")
    return tiny


def complete(engine: Engine, tiny: TinyModel, texts: list[str]) -> list[str | PromptFailure]:
    outcomes = engine.generate([tiny.encode(text) for text in texts])
    return [outcome.text if isinstance(outcome, Completion) else outcome for outcome in outcomes]


@pytest.mark.parametrize("settings", [GREEDY, DRAWING, EVERY_DRAW], ids=["greedy", "drawing", "every draw"])
@pytest.mark.parametrize("attention", ["whole", "gathered"])
@pytest.mark.parametrize("max_in_flight", [0, 2])
def test_an_overflow_stays_alone(
    attention: Backend, settings: SamplingSettings, max_in_flight: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ModelRunner, "max_in_flight", max_in_flight)
    tiny = overflowing_model()
    options = EngineOptions(max_num_seqs=4, max_num_batched_tokens=500, min_prefill_tokens=100, attention=attention)
    engine = build_engine(tiny.model, tiny.tokenizer, settings, options)
    alone = [complete(engine, tiny, [text])[0] for text in TEXTS]
    beside = complete(engine, tiny, [TEXTS[0], "so " + OVERFLOWING + " long" * 30, *TEXTS[1:]])
    failure = beside.pop(1)
    after = complete(engine, tiny, TEXTS)
    engine.close()
    assert isinstance(failure, PromptFailure)
    assert failure.code == "not_a_number"
    assert failure.code in FINAL_CODES
    assert "bfloat16" in failure.reason
    assert beside == alone
    assert after == alone


def test_an_overflow_in_the_middle_of_a_completion_ends_it() -> None:
    tiny = build_tiny_model("llama")
    engine = build_engine(tiny.model, tiny.tokenizer, GREEDY)
    [expected] = complete(engine, tiny, [TEXTS[0]])
    engine.close()
    assert isinstance(expected, str)
    # The completion's third token overflows from now on.
    third = tiny.encode(expected)[2]
    assert third not in tiny.encode(TEXTS[0])
    with torch.no_grad():
        tiny.model.get_input_embeddings().weight[third] = float("inf")
    engine = build_engine(tiny.model, tiny.tokenizer, GREEDY)
    [outcome] = complete(engine, tiny, [TEXTS[0]])
    engine.close()
    assert isinstance(outcome, PromptFailure)
    assert outcome.code == "not_a_number"
