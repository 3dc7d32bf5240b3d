"""The prompt: one template and its version, the same for training and for serving.

The template is from a notebook that fine-tunes phi-1_5 on TweetSumm. A change of any character needs a new
`PROMPT_VERSION`: adapters are trained for one version and refused under another.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aftercall.conversation import Turn, render_turns

PROMPT_VERSION = "1"

SYSTEM_PROMPT = "Below is a conversation between a human and an AI agent. Write a summary of the conversation."

#: Between the conversation and the summary. What follows it is the summary.
RESPONSE_HEADER = "### Response:\n"

#: Where a completion is cut if the model continues: at the template's next header.
STOP_STRING = "###"

#: A model with byte tokens can write a NUL.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def build_prompt(conversation_text: str) -> str:
    """The prompt for one cleaned conversation, up to and with the response header."""
    return f"### Instruction: {SYSTEM_PROMPT}\n\n### Input:\n{conversation_text.strip()}\n\n{RESPONSE_HEADER}"


def extract_summary(completion: str) -> str:
    """The summary in a raw completion: the text before the next header, on one line, of storable characters."""
    return " ".join(_UNSTORABLE.sub(" ", completion.partition(STOP_STRING)[0]).split())


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The part of a conversation that fits the context."""

    text: str
    #: Share of the conversation's tokens that the model is given, 0 to 1.
    coverage: float


def fit_turns(turns: Sequence[Turn], num_tokens: Callable[[str], int], max_tokens: int) -> Excerpt:
    """Cut a conversation to `max_tokens`, by whole turns, from its middle.

    A support conversation has its problem at the start and its outcome at the end, so turns are kept from both ends
    inward, the first before the last. If not even the opening turn fits, it is cut at a word.

    Args:
        num_tokens: counts the tokens of a text.
        max_tokens: the room for the conversation's text, in tokens; at least 1.
    """
    costs = [num_tokens(render_turns([turn])) for turn in turns]
    total = sum(costs)
    if total <= max_tokens:
        return Excerpt(render_turns(turns), 1.0)
    kept: list[int] = []
    room = max_tokens
    for index in _ends_inward(len(turns)):
        if costs[index] > room:
            break
        kept.append(index)
        room -= costs[index]
    if kept:
        covered = sum(costs[index] for index in kept)
        return Excerpt(render_turns(turns[index] for index in sorted(kept)), covered / total)
    opening = _cut_words(turns[0], num_tokens, max_tokens)
    return Excerpt(opening, num_tokens(opening) / total)


def _ends_inward(length: int) -> list[int]:
    """0, n-1, 1, n-2, … : every index once, from both ends to the middle."""
    return [step // 2 if step % 2 == 0 else length - 1 - step // 2 for step in range(length)]


def _cut_words(turn: Turn, num_tokens: Callable[[str], int], max_tokens: int) -> str:
    """The longest run of words from the turn's start that fits, found by bisection; never less than one character."""
    text = turn.text
    low, high = 1, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if num_tokens(render_turns([Turn(turn.speaker, text[:middle])])) <= max_tokens:
            low = middle
        else:
            high = middle - 1
    whole_words = text[:low].rsplit(" ", 1)[0] if low < len(text) and " " in text[:low] else text[:low]
    return render_turns([Turn(turn.speaker, whole_words)])
