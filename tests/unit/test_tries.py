"""Tries: which conversations get several completions, and which of them is kept."""

from collections.abc import Sequence
from typing import Any, Final

import pytest

from aftercall.conversation import Turn
from tests.fixtures.model import build_byte_tokenizer
from worker.engine.base import Completion, PromptFailure, SamplingSettings
from worker.jobs.tries import Asked, Attempt, Result, complete
from worker.serving.prompts import TokenizedPrompt
from worker.serving.served import NUM_SAMPLES, Served, Tries

GOOD, DOUBTFUL = 1, 2
TURNS: Final = {
    GOOD: (Turn("user", "Where is parcel 5512?"), Turn("agent", "It comes on Friday.")),
    DOUBTFUL: (Turn("user", "I want £40 back."), Turn("agent", "I have refunded £40 to your card.")),
}
FIRST = {
    GOOD: "The customer asked where parcel 5512 is. The agent said that it comes on Friday.",
    DOUBTFUL: "The customer wanted £40 back. The agent refunded £75 to the card.",
}
CORRECT = "The customer wanted £40 back. The agent refunded £40 to the card."


class ScriptedDraws:
    """An engine's `generate` whose samples are right and whose first completion is scripted; notes its draws."""

    def __init__(self, samples: str | PromptFailure = CORRECT) -> None:
        self.asked: list[tuple[int, int]] = []
        self._samples = samples

    def __call__(self, prompts: Sequence[Sequence[int]], draws: Sequence[int]) -> list[Completion | PromptFailure]:
        pairs = [(prompt[0], draw) for prompt, draw in zip(prompts, draws, strict=True)]
        self.asked += pairs
        return [self._complete(prompt, draw) for prompt, draw in pairs]

    def _complete(self, prompt: int, draw: int) -> Completion | PromptFailure:
        if draw and isinstance(self._samples, PromptFailure):
            return self._samples
        text = self._samples if draw else FIRST[prompt]
        assert isinstance(text, str)
        return Completion(text, 1, 1, "stop", 0.0)


def run(tries: Tries, generate: ScriptedDraws) -> list[Result]:
    nothing: Any = None
    served = Served(nothing, build_byte_tokenizer(), nothing, SamplingSettings(), tries=tries)
    asked = [Asked(TURNS[number], TokenizedPrompt([number], 1.0)) for number in (GOOD, DOUBTFUL)]
    return complete(served, asked, generate)


def texts(results: Sequence[Result]) -> list[str]:
    return [result.checked.written.text for result in results if isinstance(result, Attempt)]


def test_off_takes_the_first_completion_of_each() -> None:
    generate = ScriptedDraws()
    assert texts(run("off", generate)) == [FIRST[GOOD], FIRST[DOUBTFUL]]
    assert generate.asked == [(GOOD, 0), (DOUBTFUL, 0)]


def test_auto_tries_again_where_the_first_needs_review() -> None:
    generate = ScriptedDraws()
    assert texts(run("auto", generate)) == [FIRST[GOOD], CORRECT]
    again = [(DOUBTFUL, draw) for draw in range(1, NUM_SAMPLES + 1)]
    assert generate.asked == [(GOOD, 0), (DOUBTFUL, 0), *again]


def test_all_asks_for_every_completion_of_a_prompt_in_a_row() -> None:
    generate = ScriptedDraws()
    assert texts(run("all", generate))[1] == CORRECT
    assert generate.asked == [(number, draw) for number in (GOOD, DOUBTFUL) for draw in range(NUM_SAMPLES + 1)]


@pytest.mark.parametrize("tries", ["auto", "all"])
def test_samples_that_fail_leave_the_first_completion(tries: Tries) -> None:
    generate = ScriptedDraws(PromptFailure("aborted", "the engine was closed"))
    assert texts(run(tries, generate)) == [FIRST[GOOD], FIRST[DOUBTFUL]]


def test_a_loop_is_tried_again_and_never_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FIRST, DOUBTFUL, "1" * 80)
    assert texts(run("auto", ScriptedDraws())) == [FIRST[GOOD], CORRECT]
    (_, looping) = run("off", ScriptedDraws())
    assert isinstance(looping, Attempt)
    assert not looping.is_usable
