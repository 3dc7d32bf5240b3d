"""The whole loop over a uniform-logits model and a byte tokenizer."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from aftercall.errors import ModelError
from tests.fixtures.workers import TIMEOUT_S, wait_until
from tests.unit.engine.uniform import VOCAB_SIZE, uniform_engine
from worker.engine.base import Completion, PromptFailure, SamplingSettings
from worker.engine.scheduler import Limits, Step

DRAWING = SamplingSettings(max_new_tokens=12, do_sample=True, top_k=0, top_p=1.0)
GREEDY = SamplingSettings(max_new_tokens=5)
PROMPTS = [[index, *range(index % 20)] for index in range(40)]


def texts(outcomes: list[Completion | PromptFailure]) -> list[str]:
    assert all(isinstance(outcome, Completion) for outcome in outcomes), outcomes
    return [outcome.text for outcome in outcomes if isinstance(outcome, Completion)]


@pytest.mark.parametrize("max_in_flight", [0, 1, 2])
def test_outcomes_come_in_the_order_of_the_prompts(max_in_flight: int) -> None:
    engine, _ = uniform_engine(GREEDY, max_in_flight=max_in_flight)
    outcomes = engine.generate(PROMPTS)
    assert [outcome.num_prompt_tokens for outcome in outcomes if isinstance(outcome, Completion)] == [
        len(prompt) for prompt in PROMPTS
    ]
    assert {outcome.finish_reason for outcome in outcomes if isinstance(outcome, Completion)} == {"length"}
    engine.close()


def test_draws_repeat_and_differ_by_seed_and_prompt() -> None:
    def complete(settings: SamplingSettings, prompts: list[list[int]]) -> list[str]:
        engine, _ = uniform_engine(settings)
        outcomes = texts(engine.generate(prompts))
        engine.close()
        return outcomes

    first = complete(DRAWING, PROMPTS)
    assert complete(DRAWING, PROMPTS) == first
    assert len(set(first)) == len(PROMPTS)
    reseeded = SamplingSettings(max_new_tokens=12, do_sample=True, top_k=0, top_p=1.0, seed=1)
    assert not set(complete(reseeded, PROMPTS)) & set(first)


def test_neighbours_and_preemption_change_nothing() -> None:
    roomy, _ = uniform_engine(DRAWING)
    alone = [text for prompt in PROMPTS for text in texts(roomy.generate([prompt]))]
    roomy.close()
    # Seventeen pages of four tokens: at most two long sequences at once, so that many are preempted.
    tight, runner = uniform_engine(DRAWING, Limits(8, 64, 1), num_pages=17)
    assert texts(tight.generate(PROMPTS)) == alone
    tight.close()
    num_prefilled = sum(len(step.sequences) for step in runner.steps if step.is_prefill)
    assert num_prefilled > len(PROMPTS), "nothing was preempted: the test shows nothing"


def test_samples_differ_from_each_other_and_repeat() -> None:
    settings = SamplingSettings(max_new_tokens=12, top_k=0, top_p=1.0, num_samples=3)
    engine, runner = uniform_engine(settings)
    prompts, draws = [prompt for prompt in PROMPTS for _ in range(4)], [0, 1, 2, 3] * len(PROMPTS)
    together = texts(engine.generate(prompts, draws))
    assert len(set(together)) == 3 * len(PROMPTS) + 1, "equal logits have one likeliest token"
    assert any(sequence.read_with for step in runner.steps for sequence in step.sequences)
    alone = [texts(engine.generate([prompt], [draw]))[0] for prompt, draw in zip(prompts, draws, strict=True)]
    assert together == alone
    engine.close()


def test_callers_share_the_batch() -> None:
    engine, runner = uniform_engine(GREEDY)
    is_open = Event()

    def hold(step: Step) -> None:
        is_open.wait(TIMEOUT_S)

    runner.before_step = hold
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(engine.generate, PROMPTS[first : first + 3]) for first in (0, 3, 6, 9)]
        wait_until(lambda: len(engine._owners) == 12, "every prompt of every caller in the engine")
        is_open.set()
        assert [len(call.result(TIMEOUT_S)) for call in calls] == [3, 3, 3, 3]
    engine.close()
    assert max(len(step.sequences) for step in runner.steps if not step.is_prefill) > 3


def test_a_bad_prompt_fails_alone() -> None:
    engine, _ = uniform_engine(GREEDY)
    good, long, empty, unknown = engine.generate([[1, 2], [0] * 60, [], [1, VOCAB_SIZE]])
    engine.close()
    assert isinstance(good, Completion)
    assert isinstance(long, PromptFailure)
    assert (long.code, long.reason) == (
        "prompt_too_long",
        "The prompt has 60 tokens; 59 leave room for the summary.",
    )
    assert isinstance(empty, PromptFailure)
    assert isinstance(unknown, PromptFailure)
    assert str(VOCAB_SIZE) in unknown.reason


def test_out_of_memory_halves_and_goes_on() -> None:
    engine, runner = uniform_engine(DRAWING)
    expected = texts(engine.generate(PROMPTS))
    runner.max_fitting = 25
    assert texts(engine.generate(PROMPTS)) == expected
    engine.close()


def test_a_prompt_that_never_fits_fails_alone() -> None:
    engine, runner = uniform_engine(GREEDY)
    runner.max_fitting = 25
    fits, never, fits_too = engine.generate([[1] * 10, [1] * 30, [1] * 10])
    engine.close()
    assert isinstance(fits, Completion)
    assert isinstance(fits_too, Completion)
    assert isinstance(never, PromptFailure)
    assert never.code == "out_of_memory"


# What is more than a failure of the engine still ends its thread.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("loss", [RuntimeError, SystemExit])
def test_a_lost_device_is_raised_to_every_caller(loss: type[BaseException]) -> None:
    engine, runner = uniform_engine(GREEDY)

    def lose(step: Step) -> None:
        raise loss("the device fell off the bus")

    runner.before_step = lose
    for _ in range(2):
        with pytest.raises(ModelError, match=r"The engine stopped: .* fell off the bus"):
            engine.generate(PROMPTS)
    engine.close()


def test_closing_aborts_what_runs() -> None:
    engine, runner = uniform_engine(GREEDY)
    has_begun, is_closing = Event(), Event()

    def stall(step: Step) -> None:
        has_begun.set()
        is_closing.wait(TIMEOUT_S)

    runner.before_step = stall
    with ThreadPoolExecutor(2) as pool:
        call = pool.submit(engine.generate, PROMPTS)
        assert has_begun.wait(TIMEOUT_S)
        closing = pool.submit(engine.close)
        wait_until(lambda: engine._is_closed, "the engine told to close")
        is_closing.set()
        closing.result(TIMEOUT_S)
        outcomes = call.result(TIMEOUT_S)
    assert [outcome.code for outcome in outcomes if isinstance(outcome, PromptFailure)] == ["aborted"] * len(PROMPTS)
    assert engine.generate([[1]]) == [outcomes[0]]


def test_no_prompts_no_wait() -> None:
    engine, _ = uniform_engine(GREEDY)
    assert engine.generate([]) == []
    engine.close()
