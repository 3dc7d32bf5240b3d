"""The reference engine on tiny models of two families, and on the packaged one."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from aftercall.prompt import build_prompt
from tests.fixtures.model import CONTEXT_TOKENS, TinyModel
from worker.engine.base import Completion, PromptFailure, SamplingSettings
from worker.engine.hugging_face import BatchLimits, HuggingFaceEngine, Outcome, plan_batches
from worker.model import LoadedModel

TEXTS = ["hello", "user: my order is late", "agent: which order?", "x" * 150, "?", "user: 17 days!"]

Open = Callable[..., HuggingFaceEngine]


@pytest.fixture
def open_engine() -> Iterator[Open]:
    engines: list[HuggingFaceEngine] = []

    def open_(tiny: TinyModel, limits: BatchLimits | None = None, **sampling: Any) -> HuggingFaceEngine:
        settings = SamplingSettings(**{"max_new_tokens": 30, "stop_string": "", **sampling})
        engines.append(HuggingFaceEngine(tiny.model, tiny.tokenizer, settings, limits))
        return engines[-1]

    yield open_
    for engine in engines:
        engine.close()


def complete(engine: HuggingFaceEngine, tiny: TinyModel, texts: list[str]) -> list[Completion]:
    outcomes = engine.generate([tiny.encode(text) for text in texts])
    return [outcome for outcome in outcomes if isinstance(outcome, Completion)]


def texts_of(outcomes: list[Completion]) -> list[str]:
    return [outcome.text for outcome in outcomes]


def spoil(tiny: TinyModel, error: Callable[[torch.Tensor], Exception | None]) -> None:
    """Let the model raise what `error` makes of a batch's token ids, if anything."""
    generate = tiny.model.generate

    def generate_or_raise(input_ids: torch.Tensor, **options: Any) -> torch.Tensor:
        if problem := error(input_ids):
            raise problem
        output: torch.Tensor = generate(input_ids, **options)
        return output

    tiny.model.generate = generate_or_raise


@pytest.mark.parametrize("do_sample", [False, True])
def test_a_completion_does_not_hang_on_its_neighbours(
    tiny_model: TinyModel, open_engine: Open, do_sample: bool
) -> None:
    engine = open_engine(tiny_model, do_sample=do_sample)
    together = complete(engine, tiny_model, TEXTS)
    alone = [complete(engine, tiny_model, [text])[0] for text in TEXTS]
    assert texts_of(together) == texts_of(alone)
    assert len(set(texts_of(alone))) > 3


def test_greedy_is_what_generate_gives(tiny_model: TinyModel, open_engine: Open) -> None:
    engine = open_engine(tiny_model)
    for text, completion in zip(TEXTS, complete(engine, tiny_model, TEXTS), strict=True):
        ids = torch.tensor([tiny_model.encode(text)])
        row = tiny_model.model.generate(ids, max_new_tokens=30, do_sample=False)[0, ids.shape[1] :]
        assert completion.text == tiny_model.tokenizer.decode(row, skip_special_tokens=True)


def test_the_seed_decides_a_draw(tiny_model: TinyModel, open_engine: Open) -> None:
    first, again, other = (
        texts_of(complete(open_engine(tiny_model, do_sample=True, temperature=3.0, seed=seed), tiny_model, TEXTS))
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_one_candidate_left_to_the_draw_is_the_greedy_one(tiny_model: TinyModel, open_engine: Open) -> None:
    drawn = complete(open_engine(tiny_model, do_sample=True, top_k=1), tiny_model, TEXTS)
    assert texts_of(drawn) == texts_of(complete(open_engine(tiny_model), tiny_model, TEXTS))


def test_a_completion_ends_before_the_stop_string(tiny_model: TinyModel, open_engine: Open) -> None:
    free = complete(open_engine(tiny_model), tiny_model, TEXTS[:2])
    stop = free[1].text[10:12]
    stopped = complete(open_engine(tiny_model, stop_string=stop), tiny_model, TEXTS[:2])
    head = free[1].text.partition(stop)[0]
    assert (stopped[1].text, stopped[1].finish_reason) == (head, "stop")
    assert stopped[1].num_completion_tokens == len(head) + len(stop)
    assert stopped[0].text == free[0].text.partition(stop)[0]


def test_a_completion_ends_at_end_of_text(tiny_model: TinyModel, open_engine: Open) -> None:
    free = complete(open_engine(tiny_model), tiny_model, TEXTS[1:2])[0]
    assert (free.finish_reason, free.num_completion_tokens) == ("length", 30)
    end = free.text[10]
    tiny_model.model.generation_config.eos_token_id = tiny_model.encode(end)
    ended = complete(open_engine(tiny_model), tiny_model, TEXTS[1:2])[0]
    head = free.text.partition(end)[0]
    assert (ended.text, ended.finish_reason) == (head, "stop")
    assert ended.num_completion_tokens == len(head) + 1


def test_threads_share_the_engine_and_get_their_own(tiny_model: TinyModel, open_engine: Open) -> None:
    engine = open_engine(tiny_model)
    expected = texts_of(complete(engine, tiny_model, TEXTS))
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: texts_of(complete(engine, tiny_model, TEXTS)), range(8)))
    assert results == [expected] * 8


def test_prompts_that_do_not_fit_fail_alone(tiny_model: TinyModel, open_engine: Open) -> None:
    engine = open_engine(tiny_model)
    assert engine.max_prompt_tokens == CONTEXT_TOKENS - 30
    long, fits, empty = engine.generate([[1] * (CONTEXT_TOKENS - 29), [1] * (CONTEXT_TOKENS - 30), []])
    assert isinstance(long, PromptFailure)
    assert long.code == "prompt_too_long"
    assert long.reason.startswith(f"The prompt has {CONTEXT_TOKENS - 29} tokens; at most {CONTEXT_TOKENS - 30}")
    assert isinstance(fits, Completion)
    assert isinstance(empty, PromptFailure)


def test_a_smaller_context_can_be_asked_for(tiny_model: TinyModel, open_engine: Open) -> None:
    assert open_engine(tiny_model, BatchLimits(max_context_tokens=100)).max_prompt_tokens == 70


def test_out_of_memory_halves_the_batch_and_goes_on(tiny_model: TinyModel, open_engine: Open) -> None:
    expected = texts_of(complete(open_engine(tiny_model), tiny_model, TEXTS))
    sizes: list[int] = []

    def no_room_for_three(input_ids: torch.Tensor) -> Exception | None:
        sizes.append(len(input_ids))
        return torch.OutOfMemoryError("no room") if len(input_ids) >= 3 else None

    spoil(tiny_model, no_room_for_three)
    assert texts_of(complete(open_engine(tiny_model), tiny_model, TEXTS)) == expected
    assert sizes == [6, 3, 1, 2, 3, 1, 2]


@pytest.mark.parametrize(
    ("error", "code"), [(torch.OutOfMemoryError("no room"), "out_of_memory"), (ValueError("odd"), "engine_error")]
)
def test_a_prompt_at_fault_fails_alone(tiny_model: TinyModel, open_engine: Open, error: Exception, code: str) -> None:
    [poison] = tiny_model.encode("~")
    spoil(tiny_model, lambda input_ids: error if (input_ids == poison).any() else None)
    outcomes = open_engine(tiny_model).generate([tiny_model.encode(text) for text in [*TEXTS, "~"]])
    assert all(isinstance(outcome, Completion) for outcome in outcomes[:-1])
    assert isinstance(outcomes[-1], PromptFailure)
    assert (outcomes[-1].code, str(error) in outcomes[-1].reason) == (code, True)


def test_a_lost_device_raises_now_and_later(tiny_model: TinyModel, open_engine: Open) -> None:
    spoil(tiny_model, lambda _: torch.AcceleratorError("unspecified launch failure"))
    engine = open_engine(tiny_model)
    with pytest.raises(torch.AcceleratorError):
        engine.generate([tiny_model.encode("hello")])
    with pytest.raises(RuntimeError, match="lost its device"):
        engine.generate([tiny_model.encode("hello")])


def test_closing_aborts_what_runs_and_what_waits(tiny_model: TinyModel, open_engine: Open) -> None:
    has_begun = threading.Event()

    def hold(_: torch.Tensor) -> None:
        has_begun.set()
        time.sleep(0.3)

    spoil(tiny_model, hold)
    engine = open_engine(tiny_model, BatchLimits(max_batch_size=1), max_new_tokens=200)
    with ThreadPoolExecutor(2) as pool:
        running = pool.submit(engine.generate, [tiny_model.encode("hi"), tiny_model.encode("ho")])
        assert has_begun.wait(10)
        waiting = pool.submit(engine.generate, [tiny_model.encode("hello")])
        engine.close()
        outcomes: list[Outcome] = [*running.result(10), *waiting.result(10)]
    assert [outcome.code for outcome in outcomes if isinstance(outcome, PromptFailure)] == ["aborted"] * 3
    [late] = engine.generate([tiny_model.encode("hello")])
    assert isinstance(late, PromptFailure)
    assert late.code == "aborted"


@given(
    lengths=st.lists(st.integers(1, 300), max_size=60),
    limits=st.builds(BatchLimits, max_batch_size=st.integers(1, 16), max_batch_tokens=st.integers(1, 2000)),
)
def test_batches_hold_every_prompt_once_within_the_limits(lengths: list[int], limits: BatchLimits) -> None:
    batches = plan_batches(lengths, limits)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        longest = max(lengths[index] for index in batch)
        assert len(batch) <= limits.max_batch_size
        assert len(batch) == 1 or len(batch) * longest <= limits.max_batch_tokens


def test_the_packaged_model_answers_alike_in_a_batch_and_alone(loaded_model: LoadedModel) -> None:
    texts = [
        "user: my parcel is late\nagent: we are sorry, it comes tomorrow\n",
        "user: The app crashes whenever I open a playlist, on a phone bought last week.\nagent: Which "
        "version is it? Restarting helps sometimes.\nuser: Newest. That helped, thanks!\n",
        "user: refund please\nagent: done\n",
    ]
    prompts = [loaded_model.tokenizer(build_prompt(text))["input_ids"] for text in texts]
    engine = HuggingFaceEngine(loaded_model.model, loaded_model.tokenizer, SamplingSettings(max_new_tokens=16))
    try:
        together = engine.generate(prompts)
        alone = [engine.generate([prompt])[0] for prompt in prompts]
    finally:
        engine.close()
    assert [outcome.text for outcome in together if isinstance(outcome, Completion)] == [
        outcome.text for outcome in alone if isinstance(outcome, Completion)
    ]
    assert all(isinstance(outcome, Completion) and "###" not in outcome.text for outcome in together)
