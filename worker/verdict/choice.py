"""Which of several completions of one conversation to keep.

The one that the others agree with most, that holds most of the end, and that is least likely to be wrong. The weights
were fitted on labelled conversations: docs/decisions/summaries.md has the figures.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from worker.verdict.facts import find_facts
from worker.verdict.lexicon import STOP_STEMS
from worker.verdict.verdict import Verdict
from worker.verdict.words import stem

#: What counts next to the agreement in content words, which is a mean F1 between 0 and 1.
_PHRASES, _NUMBER, _LAST_AGENT, _RISK = 0.25, 0.05, 0.25, 0.25
#: Further numbers of the conversation count no more.
_MAX_NUMBERS = 4


def choose(texts: Sequence[str], verdicts: Sequence[Verdict]) -> int:
    """The index of the text to keep; the first of equal ones.

    Args:
        texts: completions of one conversation, at least one.
        verdicts: the verdict on each.
    """
    words = [find_facts(text).words for text in texts]
    contents = [Counter(word for word in map(stem, each) if len(word) > 2 and word not in STOP_STEMS) for each in words]
    phrases = [Counter(pairwise(each)) for each in words]
    scores = [
        _agreement(index, contents)
        + _PHRASES * _agreement(index, phrases)
        + _NUMBER * min(verdict.num_known_numbers, _MAX_NUMBERS)
        + _LAST_AGENT * verdict.last_agent
        - _RISK * verdict.risk
        for index, verdict in enumerate(verdicts)
    ]
    return scores.index(max(scores))


def _agreement(index: int, counts: Sequence[Counter[Any]]) -> float:
    """The mean F1 of one completion with each of the others."""
    own = counts[index]
    others = [other for place, other in enumerate(counts) if place != index]
    return sum(_f1(own, other) for other in others) / len(others) if others else 1.0


def _f1(one: Counter[Any], other: Counter[Any]) -> float:
    total = one.total() + other.total()
    return 2 * (one & other).total() / total if total else 0.0
