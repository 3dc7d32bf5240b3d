"""The text of a prompt, the summary in a completion, and the cut to the context. The profile says what is asked.

`tweetsumm-1` is the recipe's template to the character (a notebook that fine-tunes phi-1_5 on TweetSumm).
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aftercall.conversation import Turn, render_turns
from aftercall.profile import TWEETSUMM, Profile

#: A model that knows bytes can write a NUL.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")

#: What would read as a header of the template: hashes before a word. `order ###123` is none.
_HEADER = re.compile(r"#{3,}(?=\s*[^\W\d_])")


def build_prompt(conversation_text: str, profile: Profile = TWEETSUMM) -> str:
    """The prompt of a completion profile for one cleaned conversation, up to and with the response header."""
    parts = [f"### Instruction: {profile.told}"]
    for example in profile.examples:
        parts += [
            f"### Input:\n{example.conversation.strip()}",
            f"{profile.response_header}\n{example.completion.strip()}",
        ]
    text = conversation_text.strip()
    # The recipe's prompt holds conversations as they are.
    parts += [f"### Input:\n{text if profile == TWEETSUMM else escape_headers(text)}", f"{profile.response_header}\n"]
    return "\n\n".join(parts)


def escape_headers(text: str) -> str:
    """`text` without runs of hashes before a word, which a model would take for a header of the template."""
    return _HEADER.sub("#", text) if "###" in text else text


def extract_summary(completion: str, stop: str = TWEETSUMM.stop) -> str:
    """The summary in a raw completion: what precedes the next header, on one line, of what a database takes."""
    return " ".join(clean_completion(completion, stop).split())


def clean_completion(completion: str, stop: str) -> str:
    """A raw completion up to the next header, which stands at the start of a line, of what a database takes."""
    # A completion that begins with a header has nothing before it.
    text = f"\n{completion}".partition(f"\n{stop}")[0][1:] if stop else completion
    return _UNSTORABLE.sub(" ", text)


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The part of a conversation that fits the context."""

    text: str
    #: Share of the conversation's tokens that the model gets to see, 0 to 1.
    coverage: float


def fit_turns(turns: Sequence[Turn], num_tokens: Callable[[str], int], max_tokens: int) -> Excerpt:
    """Cut a conversation to `max_tokens`, by whole turns, from its middle.

    The problem stands at a support conversation's start and its outcome at the end, so turns are kept from both
    ends inward, the first before the last. If not even the opening turn fits, it is cut at a word.

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
