"""Whether a night differs from the last ones: each figure with a plain yes or no. Pure arithmetic."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

#: With fewer nights there is nothing to compare with.
MIN_NIGHTS = 3

#: A figure has drifted if it is this many standard deviations from the mean of the last nights.
MAX_DEVIATIONS = 3.0


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a night. Shares are from 0 to 1."""

    name: str
    value: float
    #: A smaller change is never drift, however alike the last nights were.
    min_change: float
    is_share: bool = True


@dataclass(frozen=True, slots=True)
class Change:
    """A figure of this night compared with the last ones."""

    figure: Figure
    #: The mean of the last nights; None: there are none.
    before: float | None
    #: None: too few nights to say.
    is_drift: bool | None


def compare(figure: Figure, before: Sequence[float]) -> Change:
    """Whether a figure has drifted from what it was in the last nights."""
    mean = fmean(before) if before else None
    if mean is None or len(before) < MIN_NIGHTS:
        return Change(figure, mean, None)
    limit = max(MAX_DEVIATIONS * stdev(before), figure.min_change)
    return Change(figure, mean, abs(figure.value - mean) > limit)
