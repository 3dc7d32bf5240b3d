"""ROUGE-1, -2 and -L as rouge-score computes them: stemmed F1, averaged over several references or the best of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

_TYPES = ("rouge1", "rouge2", "rougeL")


@dataclass(frozen=True, slots=True)
class Rouge:
    """Three F1 scores, 0 to 1."""

    rouge1: float
    rouge2: float
    rouge_l: float

    @property
    def mean(self) -> float:
        """The mean of the three scores."""
        return (self.rouge1 + self.rouge2 + self.rouge_l) / 3

    def scaled(self, factor: float) -> "Rouge":
        """Each score times `factor`: 100 for percent."""
        return Rouge(self.rouge1 * factor, self.rouge2 * factor, self.rouge_l * factor)


@dataclass(frozen=True, slots=True)
class RougeOverReferences:
    """One summary against all references of its conversation."""

    average: Rouge
    #: Each score's maximum over the references.
    best: Rouge


@cache
def _scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(list(_TYPES), use_stemmer=True)


@lru_cache(maxsize=65536)
def score_pair(summary: str, reference: str) -> Rouge:
    """One summary against one reference."""
    scores = _scorer().score(reference, summary)
    return Rouge(*(float(scores[name].fmeasure) for name in _TYPES))


def score_references(summary: str, references: Sequence[str]) -> RougeOverReferences:
    """One summary against at least one reference."""
    scores = [score_pair(summary, reference) for reference in references]
    return RougeOverReferences(_reduce(scores, lambda values: sum(values) / len(values)), _reduce(scores, max))


def _reduce(scores: Sequence[Rouge], reduce: Callable[[list[float]], float]) -> Rouge:
    return Rouge(
        reduce([score.rouge1 for score in scores]),
        reduce([score.rouge2 for score in scores]),
        reduce([score.rouge_l for score in scores]),
    )
