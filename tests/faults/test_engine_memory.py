"""A device out of memory, and a completion without an end, in the real engine over a tiny model on the CPU."""

from typing import Any

import pytest
import torch

from tests.fixtures.model import TinyModel, build_tiny_model
from tests.fixtures.model_worker import refuse_memory
from worker.engine.base import Completion, PromptFailure, SamplingSettings
from worker.engine.build import build_engine

GREEDY = SamplingSettings(max_new_tokens=6)
WORDS = [f"number {number}, " + "word " * (number % 7) for number in range(24)]


@pytest.fixture
def tiny() -> TinyModel:
    """A fresh model, to be broken."""
    return build_tiny_model("llama")


def count_prompts(tiny: TinyModel) -> list[int]:
    """Note how many tokens each call of the model is given."""
    noted: list[int] = []
    forward = tiny.model.forward

    def noting(*args: Any, input_ids: torch.Tensor, **kwargs: Any) -> Any:
        noted.append(input_ids.numel())
        return forward(*args, input_ids=input_ids, **kwargs)

    tiny.model.forward = noting
    return noted


def refuse_more_than(tiny: TinyModel, max_tokens: int) -> None:
    """Make the model run out of memory over more tokens than that."""
    forward = tiny.model.forward

    def failing(*args: Any, input_ids: torch.Tensor, **kwargs: Any) -> Any:
        if input_ids.numel() > max_tokens:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        return forward(*args, input_ids=input_ids, **kwargs)

    tiny.model.forward = failing


def complete(
    tiny: TinyModel, texts: list[str], settings: SamplingSettings = GREEDY
) -> list[Completion | PromptFailure]:
    """The outcomes of one engine's life."""
    engine = build_engine(tiny.model, tiny.tokenizer, settings)
    try:
        return engine.generate([tiny.encode(text) for text in texts])
    finally:
        engine.close()


def test_a_batch_that_does_not_fit_is_halved_until_it_does(tiny: TinyModel) -> None:
    expected = [outcome.text for outcome in complete(tiny, WORDS) if isinstance(outcome, Completion)]
    refuse_more_than(tiny, 60)
    sizes = count_prompts(tiny)
    outcomes = complete(tiny, WORDS)

    assert [outcome.text for outcome in outcomes if isinstance(outcome, Completion)] == expected
    assert len(expected) == len(WORDS)
    assert max(sizes) > 60, "everything fitted at once: the test shows nothing"


def test_a_prompt_that_never_fits_fails_alone(tiny: TinyModel) -> None:
    expected = complete(tiny, WORDS)
    refuse_memory(tiny, "POISON")
    outcomes = complete(tiny, [*WORDS[:5], "POISON", *WORDS[5:]])

    poisoned = outcomes.pop(5)
    assert isinstance(poisoned, PromptFailure)
    assert poisoned.code == "out_of_memory"
    assert "CUDA out of memory" in poisoned.reason
    assert [getattr(outcome, "text", outcome) for outcome in outcomes] == [
        getattr(outcome, "text", None) for outcome in expected
    ]


def test_the_batches_after_it_are_as_large_as_before(tiny: TinyModel) -> None:
    refuse_memory(tiny, "POISON")
    engine = build_engine(tiny.model, tiny.tokenizer, GREEDY)
    sizes = count_prompts(tiny)
    prompts = [tiny.encode(text) for text in WORDS]
    engine.generate(prompts)
    before = sizes.copy()
    engine.generate([*prompts, tiny.encode("POISON")])
    sizes.clear()
    engine.generate(prompts)
    engine.close()

    assert sizes == before


def test_a_completion_without_an_end_ends_at_its_limit(tiny: TinyModel) -> None:
    engine = build_engine(tiny.model, tiny.tokenizer, SamplingSettings(max_new_tokens=50, stop_string="\0"), None, ())
    outcomes = engine.generate([tiny.encode(text) for text in WORDS])
    engine.close()

    assert {(o.num_completion_tokens, o.finish_reason) for o in outcomes if isinstance(o, Completion)} == {
        (50, "length")
    }
    assert len(outcomes) == len(WORDS)
