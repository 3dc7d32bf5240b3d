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

#: Stands in a turn for the middle that was cut out.
_OMISSION = " … "

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
    """Cut a conversation to `max_tokens`, from its middle and from the middle of its longest turns.

    A support conversation has its problem at the start and its outcome at the end, so turns are kept from both ends
    inward, the first before the last. A turn longer than its share, such as a pasted log, gives up its middle
    before any other turn is left out: it may take a quarter of the room, or more if that leaves room for all.

    Args:
        num_tokens: counts the tokens of a text.
        max_tokens: the room for the conversation's text, in tokens; at least 1.
    """
    costs = [num_tokens(render_turns([turn])) for turn in turns]
    total = sum(costs)
    if total <= max_tokens:
        return Excerpt(render_turns(turns), 1.0)
    shares = _share_out(costs, max_tokens)
    kept: list[Turn] = []
    covered = 0
    for index in sorted(shares):
        turn = turns[index]
        if shares[index] >= costs[index]:
            kept.append(turn)
            covered += costs[index]
        elif cut := _cut_middle(turn, num_tokens, shares[index], is_needed=index == 0):
            kept.append(cut.turn)
            covered += cut.num_tokens
    return Excerpt(render_turns(kept), covered / total)


def _share_out(costs: Sequence[int], max_tokens: int) -> dict[int, int]:
    """The turns that are shown, and how many tokens each may take: all of its own, or fewer."""
    limit = max(_find_level(costs, max_tokens), max_tokens // 4, 1)
    shares: dict[int, int] = {}
    room = max_tokens
    for index in _ends_inward(len(costs)):
        share = min(costs[index], limit)
        if share > room:
            break
        shares[index] = share
        room -= share
    for index in shares:  # what is left goes to turns that are cut, the outer ones first
        more = min(costs[index] - shares[index], room)
        shares[index] += more
        room -= more
    return shares


def _find_level(costs: Sequence[int], max_tokens: int) -> int:
    """The most tokens that every turn may take so that all of them fit."""
    room = max_tokens
    for num_left, cost in zip(range(len(costs), 0, -1), sorted(costs), strict=True):
        if cost * num_left > room:
            return room // num_left
        room -= cost
    return max_tokens


def _ends_inward(length: int) -> list[int]:
    """0, n-1, 1, n-2, … : every index once, from both ends to the middle."""
    return [step // 2 if step % 2 == 0 else length - 1 - step // 2 for step in range(length)]


@dataclass(frozen=True, slots=True)
class _CutTurn:
    turn: Turn
    #: Of the words that are left; the sign for those that are not does not count.
    num_tokens: int


def _cut_middle(turn: Turn, num_tokens: Callable[[str], int], max_tokens: int, *, is_needed: bool) -> _CutTurn | None:
    """The turn's start and end, as much of both as fits, found by bisection.

    None if not even one character fits; a turn that is needed keeps its first one.
    """

    def cost(num_chars: int, between: str = _OMISSION) -> int:
        return num_tokens(render_turns([Turn(turn.speaker, _leave_ends(turn.text, num_chars, between))]))

    low, high = 1, len(turn.text) - 1
    while low < high:
        middle = (low + high + 1) // 2
        if cost(middle) <= max_tokens:
            low = middle
        else:
            high = middle - 1
    if low == 1 and not is_needed and cost(low) > max_tokens:
        return None
    return _CutTurn(Turn(turn.speaker, _leave_ends(turn.text, low, _OMISSION)), cost(low, between=" "))


def _leave_ends(text: str, num_chars: int, between: str) -> str:
    """At most so many characters of a text, half of them from its end, in whole words if there are any."""
    head, tail = text[: num_chars - num_chars // 2], text[len(text) - num_chars // 2 :]
    if not tail:
        return head
    return f"{head.rsplit(' ', 1)[0]}{between}{tail.split(' ', 1)[-1]}"
