"""Confidence intervals of means and of paired differences, over conversations.

The bootstrap resamples conversations. Its percentile intervals are too narrow for a small number: they
correspond to a normal quantile and a variance that divides by n. So each bound is moved
away from the mean by Student's t over the normal quantile, times sqrt(n / (n - 1)). The factor is 1.10 for 20
conversations and 1.01 for 200. One conversation says nothing about the others, so its interval is unbounded.
"""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

NUM_RESAMPLES = 2_000
CONFIDENCE = 0.95
#: Resamples that are drawn together, which bounds the memory.
_BLOCK = 200


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean, or a mean difference, and its 95% confidence interval."""

    mean: float
    low: float
    high: float

    @property
    def contains_zero(self) -> bool:
        """Whether the difference may be none at all, or of either sign."""
        return self.low <= 0 <= self.high

    def __str__(self) -> str:
        if math.isinf(self.low):
            return f"{self.mean:+.2f} (no interval: one conversation)"
        return f"{self.mean:+.2f} ({self.low:+.2f} to {self.high:+.2f})"


def compare(ours: Sequence[float], theirs: Sequence[float], seed: int = 0) -> Interval:
    """The mean of `ours - theirs`, pair by pair, with its interval; the same for the same seed."""
    differences = [our - their for our, their in zip(ours, theirs, strict=True)]
    generator = random.Random(seed)
    means = [_mean(generator.choices(differences, k=len(differences))) for _ in range(NUM_RESAMPLES)]
    return _widen(_mean(differences), means, len(differences))


def mean_intervals(figures: Mapping[str, Sequence[float]], seed: int = 0) -> dict[str, Interval]:
    """The mean of each figure over the same conversations, with its interval; the same for the same seed."""
    import numpy as np  # late: adapters are listed and compared without it

    table = np.array(list(figures.values()), dtype=float).T
    means = _resample(lambda weights: weights @ table / len(table), len(table), seed)
    return dict(zip(figures, map(_widen, table.mean(axis=0), means.T, [len(table)] * len(figures)), strict=True))


def ratio_interval(totals: Sequence[float], counts: Sequence[int], seed: int = 0) -> Interval:
    """The sum of `totals` divided by the sum of `counts`, both by conversation, with its interval."""
    import numpy as np

    above, below = np.array(totals, dtype=float), np.array(counts, dtype=float)
    ratios = _resample(lambda weights: weights @ above / (weights @ below), len(above), seed)
    return _widen(float(above.sum() / below.sum()), ratios, len(above))


def _resample(statistic: Any, num: int, seed: int) -> Any:
    """The statistic of every resample; it is given how often each conversation was drawn, a row for each resample."""
    import numpy as np

    generator = np.random.default_rng(seed)
    draws = (generator.multinomial(num, [1 / num] * num, size=_BLOCK) for _ in range(NUM_RESAMPLES // _BLOCK))
    return np.concatenate([statistic(weights) for weights in draws])


def _widen(mean: float, resampled: Any, num: int) -> Interval:
    """The percentile interval, as wide as so few conversations need."""
    mean = float(mean)
    if num == 1:
        return Interval(mean, -math.inf, math.inf)
    ordered = sorted(map(float, resampled))
    tail = round((1 - CONFIDENCE) / 2 * NUM_RESAMPLES)
    factor = small_sample_factor(num)
    return Interval(mean, mean - factor * (mean - ordered[tail]), mean + factor * (ordered[-tail - 1] - mean))


def small_sample_factor(num_pairs: int) -> float:
    """How much wider than its percentiles the interval of `num_pairs` (at least 2) differences has to be."""
    quantile = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    return student_quantile(num_pairs - 1) / quantile * math.sqrt(num_pairs / (num_pairs - 1))


def student_quantile(degrees: int) -> float:
    """The two-sided 95% quantile of Student's t with at least one degree of freedom, to about 0.1%.

    In closed form for one and two degrees, by the expansion around the normal quantile (Abramowitz and Stegun 26.7.5)
    for more.
    """
    if degrees == 1:
        return math.tan(math.pi * CONFIDENCE / 2)
    if degrees == 2:
        return CONFIDENCE * math.sqrt(2 / (1 - CONFIDENCE**2))
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / float(degrees) ** power for power, term in enumerate(terms, start=1))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
