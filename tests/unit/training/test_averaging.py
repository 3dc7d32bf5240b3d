"""The average of adapters is the mean of each of their weights."""

import torch

from training.fit.averaging import average


def test_each_weight_is_the_mean_of_its_runs() -> None:
    runs = [
        {"a": torch.tensor([1.0, 2.0]), "b": torch.tensor([0.0])},
        {"a": torch.tensor([3.0, 6.0]), "b": torch.ones(1)},
    ]
    mean = average(runs)
    assert mean["a"].tolist() == [2.0, 4.0]
    assert mean["b"].tolist() == [0.5]
