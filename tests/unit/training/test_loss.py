"""The figures derived from a loss, including that of a model whose training diverged."""

import math

import pytest

from training.judge.loss import ReferenceLoss


@pytest.mark.parametrize(("loss", "perplexity"), [(0.0, 1.0), (math.log(50), 50.0), (800.0, math.exp(700))])
def test_perplexity_is_a_number_however_high_the_loss(loss: float, perplexity: float) -> None:
    assert ReferenceLoss((loss,), (1,)).perplexity == pytest.approx(perplexity)


def test_of_no_number_it_is_none() -> None:
    assert math.isnan(ReferenceLoss((math.nan,), (1,)).perplexity)
