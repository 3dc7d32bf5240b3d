"""How sure a difference is: the paired bootstrap. Knows numbers only."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

NUM_RESAMPLES = 2_000
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean difference and where it lies with 95% confidence."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:+.2f} ({self.low:+.2f} to {self.high:+.2f})"


def compare(ours: Sequence[float], theirs: Sequence[float], seed: int = 0) -> Interval:
    """The mean of `ours - theirs`, pair by pair, with its percentile interval; the same for the same seed."""
    differences = [our - their for our, their in zip(ours, theirs, strict=True)]
    generator = random.Random(seed)
    means = sorted(_mean(generator.choices(differences, k=len(differences))) for _ in range(NUM_RESAMPLES))
    tail = round((1 - CONFIDENCE) / 2 * NUM_RESAMPLES)
    return Interval(_mean(differences), means[tail], means[-tail - 1])


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
