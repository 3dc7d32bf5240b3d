"""The sequential test of a canary: how often it stops one that is no worse, and how soon one that is."""

import math
import random
from fractions import Fraction

import pytest

from aftercall.ledger.rollout_figures import FLAGS
from worker.serving.canary import ERROR_RATE, log_evidence

THRESHOLD = math.log(len(FLAGS) / ERROR_RATE)


def exact_evidence(num_canary: int, num_all: int, share: Fraction) -> Fraction:
    """The integral by its binomial expansion, in fractions."""
    num_served = num_all - num_canary
    integral = sum(
        Fraction((-1) ** power * math.comb(num_served, power), num_canary + power + 1)
        * (1 - share ** (num_canary + power + 1))
        for power in range(num_served + 1)
    )
    return integral / (1 - share) / (share**num_canary * (1 - share) ** num_served)


@pytest.mark.parametrize(("num_canary", "num_all"), [(0, 0), (0, 9), (3, 3), (4, 17), (12, 40)])
@pytest.mark.parametrize("share", [Fraction(1, 20), Fraction(1, 2)])
def test_the_evidence_is_the_integral_that_it_says(num_canary: int, num_all: int, share: Fraction) -> None:
    expected = exact_evidence(num_canary, num_all, share)
    assert log_evidence(num_canary, num_all, float(share)) == pytest.approx(math.log(expected), abs=1e-9)


@pytest.mark.parametrize("share", [Fraction(1, 20), Fraction(1, 10), Fraction(1, 2)])
def test_the_mean_of_the_evidence_is_one_if_the_canary_is_no_worse(share: Fraction) -> None:
    """So it reaches N with a probability of at most 1/N, at whichever number of summaries somebody looks."""
    for num_all in (1, 8, 30):
        mean = sum(
            math.comb(num_all, k) * share**k * (1 - share) ** (num_all - k) * exact_evidence(k, num_all, share)
            for k in range(num_all + 1)
        )
        assert mean == 1


def conversations_until_stopped(share: float, ours: float, theirs: float, seed: int, most: int) -> int | None:
    """Looks behind every flagged summary, as no schedule of looks can do more often."""
    draw = random.Random(seed).random
    num_canary = num_all = 0
    for number in range(1, most + 1):
        is_canary = draw() < share
        if draw() < (ours if is_canary else theirs):
            num_all += 1
            num_canary += is_canary
            if log_evidence(num_canary, num_all, share) >= THRESHOLD:
                return number
    return None


def probability_of_a_stop(share: float, num_flagged: int) -> float:
    """Of a canary that is no worse, for one flag, with a look behind every flagged summary; exact."""
    #: By the canary's number of flagged summaries: the probability to have come there without a stop.
    going_on = {0: 1.0}
    stopped = 0.0
    for num_all in range(1, num_flagged + 1):
        reached: dict[int, float] = {}
        for num_canary, probability in going_on.items():
            for number, chance in ((num_canary, 1 - share), (num_canary + 1, share)):
                reached[number] = reached.get(number, 0.0) + probability * chance
        going_on = {k: p for k, p in reached.items() if log_evidence(k, num_all, share) < THRESHOLD}
        stopped += sum(p for k, p in reached.items() if k not in going_on)
    return stopped


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5])
def test_a_canary_that_is_no_worse_is_stopped_as_rarely_as_promised(share: float) -> None:
    assert 0 < probability_of_a_stop(share, 100) <= ERROR_RATE / len(FLAGS)


def test_a_canary_of_garbage_stops_soon() -> None:
    stopped = [conversations_until_stopped(0.1, 0.95, 0.1, seed, 1_000) for seed in range(30)]
    assert all(stopped)
    assert sorted(each for each in stopped if each)[15] < 150
