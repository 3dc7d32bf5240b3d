"""What every adapter is to be seen beside: people, the conversation's first turns, and one sentence for all.

Knows examples. It knows no model.
"""

from collections.abc import Sequence
from dataclasses import replace

from aftercall.conversation import Conversation
from training.data.dataset import Example
from training.judge.judgement import Judgement, judge

#: Who wrote the summaries that others are compared with.
PEOPLE = "people"

#: As long as people's summaries are, in words.
LEAD_WORDS = 33

#: What fits most conversations of the training split, and says nothing of any.
CONSTANT = (
    "Customer is complaining about the issue with the service. Agent updated to send a DM with the details so that "
    "they can look into it."
)


def judge_baselines(examples: Sequence[Example]) -> list[Judgement]:
    """People against people (where a conversation has two summaries), the lead and the constant sentence."""
    compared = [example for example in examples if len(example.references) > 1]
    return [
        *([judge_people(compared)] if compared else []),
        judge("first turns", [write_lead(example.conversation) for example in examples], examples),
        judge("constant sentence", [CONSTANT] * len(examples), examples),
    ]


def judge_people(examples: Sequence[Example]) -> Judgement:
    """Each conversation's first summary against the others; at least one conversation, each with two summaries."""
    others = [replace(example, references=example.references[1:]) for example in examples]
    return judge(PEOPLE, [example.references[0] for example in examples], others)


def write_lead(conversation: Conversation) -> str:
    """The first words of each speaker's first turn, together as long as a summary."""
    first = {turn.speaker: turn.text for turn in reversed(conversation.turns)}
    words = [" ".join(first.get(speaker, "").split()[: LEAD_WORDS // 2]) for speaker in ("user", "agent")]
    return " ".join(part for part in words if part)
