"""Intervals of means and ratios, next to those of differences."""

import math
from random import Random

import pytest

from training.judge.bootstrap import compare, mean_intervals, ratio_interval


def test_the_interval_of_a_mean_is_that_of_its_difference_from_zero() -> None:
    random = Random(1)
    values = {"a": [random.gauss(30, 8) for _ in range(60)], "b": [random.random() for _ in range(60)]}
    for name, interval in mean_intervals(values).items():
        other = compare(values[name], [0.0] * 60)
        assert interval.mean == pytest.approx(other.mean)
        width = other.high - other.low
        assert interval.low == pytest.approx(other.low, abs=width / 15)
        assert interval.high == pytest.approx(other.high, abs=width / 15)


def test_a_ratio_weighs_conversations_by_their_counts() -> None:
    interval = ratio_interval([10.0, 100.0], [10, 50])
    assert interval.mean == pytest.approx(110 / 60)
    assert interval.low < 1.0 < 2.0 < interval.high
    alike = ratio_interval([2.0 * count for count in range(1, 30)], list(range(1, 30)))
    assert (alike.low, alike.mean, alike.high) == pytest.approx((2.0, 2.0, 2.0))


def test_one_conversation_has_no_interval() -> None:
    assert mean_intervals({"a": [3.0]})["a"].high == math.inf
    assert ratio_interval([3.0], [2]).low == -math.inf
