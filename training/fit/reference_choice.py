"""Chooses which references to train on. Annotators disagree, so each is measured by its agreement with the others."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

from training.data.dataset import Example
from training.judge.rouge import score_pair

References = Literal["first", "all", "agreeing", "closest"]

#: `agreeing` leaves out a reference this far below its conversation's best agreement (ROUGE F1, 0 to 1).
AGREEMENT_MARGIN = 0.10


def choose_references(examples: Sequence[Example], references: References) -> list[Example]:
    """The examples with only the references to train on: `first`, `all`, `agreeing`, or `closest` to the others."""
    choose = _CHOICES[references]
    return [replace(example, references=choose(example.references)) for example in examples]


def agreement(references: Sequence[str]) -> list[float]:
    """For each reference, its mean ROUGE F1 (over 1, 2 and L) with the others; 0 if there are no others."""
    scores = []
    for index, reference in enumerate(references):
        others = [other for position, other in enumerate(references) if position != index]
        scores.append(sum(score_pair(reference, other).mean for other in others) / max(1, len(others)))
    return scores


def _agreeing(references: tuple[str, ...]) -> tuple[str, ...]:
    scores = agreement(references)
    floor = max(scores) - AGREEMENT_MARGIN
    return tuple(reference for reference, score in zip(references, scores, strict=True) if score >= floor)


def _closest(references: tuple[str, ...]) -> tuple[str, ...]:
    scores = agreement(references)
    return (references[scores.index(max(scores))],)


_CHOICES: dict[References, Callable[[tuple[str, ...]], tuple[str, ...]]] = {
    "first": lambda references: references[:1],
    "all": lambda references: references,
    "agreeing": _agreeing,
    "closest": _closest,
}
