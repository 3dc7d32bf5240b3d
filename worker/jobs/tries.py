"""Completions of conversations: the first one of each or, where asked for, the best of several."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aftercall.conversation import Turn
from worker.engine.base import Completion, PromptFailure
from worker.jobs.checks import Checked, check_completion
from worker.serving.prompts import TokenizedPrompt
from worker.serving.served import NUM_SAMPLES, Served
from worker.verdict.choice import choose
from worker.verdict.rules import is_degenerate

#: The engine's `generate` with whatever its caller does when the engine is lost.
Generate = Callable[[Sequence[Sequence[int]], Sequence[int]], list[Completion | PromptFailure]]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a completion is asked for with, and compared with."""

    turns: tuple[Turn, ...]
    prompt: TokenizedPrompt


@dataclass(frozen=True, slots=True)
class Attempt:
    """One completion with what it is worth."""

    completion: Completion
    checked: Checked

    @property
    def is_usable(self) -> bool:
        """Whether it is a summary at all."""
        text = self.checked.written.text
        return bool(text) and not is_degenerate(text)


Result = Attempt | PromptFailure


def complete(served: Served, asked: Sequence[Asked], generate: Generate) -> list[Result]:
    """One result for each conversation, as often tried as `served.tries` says."""
    if served.tries == "all":
        tried = _try(served, asked, range(NUM_SAMPLES + 1), generate)
        return [_choose(results) for results in tried]
    firsts = [results[0] for results in _try(served, asked, range(1), generate)]
    if served.tries == "off":
        return firsts
    doubtful = [index for index, first in enumerate(firsts) if _is_doubtful(first)]
    again = _try(served, [asked[index] for index in doubtful], range(1, NUM_SAMPLES + 1), generate)
    for index, results in zip(doubtful, again, strict=True):
        firsts[index] = _choose([firsts[index], *results])
    return firsts


def _try(served: Served, asked: Sequence[Asked], draws: Sequence[int], generate: Generate) -> list[list[Result]]:
    """The results of each conversation, one a draw. Equal prompts follow each other, so each is read once."""
    if not asked:
        return []
    prompts = [each.prompt.token_ids for each in asked for _ in draws]
    completions = iter(generate(prompts, [draw for _ in asked for draw in draws]))
    return [[_check(served, each, next(completions)) for _ in draws] for each in asked]


def _check(served: Served, asked: Asked, completion: Completion | PromptFailure) -> Result:
    if isinstance(completion, PromptFailure):
        return completion
    checked = check_completion(completion, asked.turns, served.profile, served.tokenizer, asked.prompt.coverage)
    return Attempt(completion, checked)


def _is_doubtful(first: Result) -> bool:
    """Whether another try may help; what failed would fail again."""
    return isinstance(first, Attempt) and (first.checked.verdict.needs_review or not first.is_usable)


def _choose(results: Sequence[Result]) -> Result:
    """The best of the usable ones, or the first result if none is."""
    usable = [result for result in results if isinstance(result, Attempt) and result.is_usable]
    if not usable:
        return results[0]
    texts = [attempt.checked.written.text for attempt in usable]
    return usable[choose(texts, [attempt.checked.verdict for attempt in usable])]
