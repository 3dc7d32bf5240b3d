"""The baselines for every adapter: people, the conversation's first turns, and one constant sentence."""

from collections.abc import Sequence
from dataclasses import replace

from aftercall.conversation import Conversation
from training.data.dataset import Example
from training.judge.judgement import Judgement, judge

#: The name of the judgement of the human summaries.
PEOPLE = "people"

#: The mean length of people's summaries, in words.
LEAD_WORDS = 33

#: Fits most conversations of the training split and says nothing specific about any of them.
CONSTANT = (
    "Customer is complaining about the issue with the service. Agent updated to send a DM with the details so that "
    "they can look into it."
)


def judge_baselines(examples: Sequence[Example]) -> list[Judgement]:
    """People (on conversations with several summaries), the first turns and the constant sentence."""
    compared = [example for example in examples if len(example.references) > 1]
    return [
        *([judge_people(compared)] if compared else []),
        *judge_fixed(examples),
    ]


def judge_fixed(examples: Sequence[Example]) -> list[Judgement]:
    """The baselines that need no person and no model; the gate requires an adapter to beat them."""
    return [
        judge("first turns", [write_lead(example.conversation) for example in examples], examples),
        judge("constant sentence", [CONSTANT] * len(examples), examples),
    ]


def with_baselines(judgement: Judgement, examples: Sequence[Example]) -> Judgement:
    """A judgement of the same examples together with the baselines' ROUGE."""
    scores = {baseline.name: tuple(baseline.values("rouge_average")) for baseline in judge_fixed(examples)}
    return replace(judgement, baselines=scores)


def judge_people(examples: Sequence[Example]) -> Judgement:
    """Each conversation's first summary against its others; each example needs at least two summaries."""
    others = [replace(example, references=example.references[1:]) for example in examples]
    return judge(PEOPLE, [example.references[0] for example in examples], others)


def write_lead(conversation: Conversation) -> str:
    """The first words of each speaker's first turn, together about as long as a summary."""
    first = {turn.speaker: turn.text for turn in reversed(conversation.turns)}
    words = [" ".join(first.get(speaker, "").split()[: LEAD_WORDS // 2]) for speaker in ("user", "agent")]
    return " ".join(part for part in words if part)
