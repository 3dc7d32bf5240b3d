"""Draws: right in distribution, and a function of seed and position alone."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from worker.engine.base import SamplingSettings
from worker.engine.sampling import choose_tokens, measure_choices, sequence_seed


def draw(logits: torch.Tensor, settings: SamplingSettings, num_draws: int) -> torch.Tensor:
    """Tokens that many sequences draw from the same logits."""
    seeds = torch.tensor([sequence_seed((index,), settings.seed) for index in range(num_draws)])
    return choose_tokens(logits.expand(num_draws, -1), seeds, torch.arange(num_draws) % 7, settings)


def test_greedy_takes_the_best() -> None:
    logits = torch.tensor([[0.0, 3.0, 1.0], [5.0, 3.0, 1.0]])
    assert choose_tokens(logits, torch.zeros(2), torch.zeros(2), SamplingSettings()).tolist() == [1, 0]


def test_draws_follow_the_probabilities() -> None:
    probabilities = torch.tensor([0.1, 0.6, 0.3])
    settings = SamplingSettings(do_sample=True, top_k=0, top_p=1.0)
    counts = draw(probabilities.log(), settings, 20_000).bincount(minlength=3) / 20_000
    # Four standard deviations.
    assert torch.allclose(counts, probabilities, atol=0.014)


def test_temperature_sharpens() -> None:
    probabilities = torch.tensor([0.4, 0.6])
    settings = SamplingSettings(do_sample=True, top_k=0, top_p=1.0, temperature=0.5)
    share = draw(probabilities.log(), settings, 20_000).float().mean()
    assert abs(share - 0.36 / (0.36 + 0.16)) < 0.014


def test_top_k_and_top_p_cut_the_tail() -> None:
    logits = torch.tensor([0.05, 0.5, 0.25, 0.2]).log()
    by_count = draw(logits, SamplingSettings(do_sample=True, top_k=2, top_p=1.0), 500)
    assert set(by_count.tolist()) == {1, 2}
    # 0.5 and 0.25 hold 0.7; the next one does not belong.
    by_mass = draw(logits, SamplingSettings(do_sample=True, top_k=0, top_p=0.7), 500)
    assert set(by_mass.tolist()) == {1, 2}
    alone = draw(logits, SamplingSettings(do_sample=True, top_k=0, top_p=0.01), 50)
    assert set(alone.tolist()) == {1}


@given(
    st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.integers(0, 4000)), min_size=2, max_size=8),
    st.randoms(use_true_random=False),
)
def test_a_row_draws_the_same_in_any_company(rows: list[tuple[int, int]], shuffler: object) -> None:
    settings = SamplingSettings(do_sample=True, top_k=0, top_p=1.0)
    logits = torch.zeros(len(rows), 1000)
    seeds, positions = (torch.tensor(column) for column in zip(*rows, strict=True))
    together = choose_tokens(logits, seeds, positions, settings)
    for index in range(len(rows)):
        one = slice(index, index + 1)
        assert choose_tokens(logits[one], seeds[one], positions[one], settings) == together[one]


def test_seeds_belong_to_prompt_and_setting() -> None:
    assert sequence_seed([1, 2], 0) == sequence_seed((1, 2), 0)
    assert len({sequence_seed([1, 2], 0), sequence_seed([1, 2], 1), sequence_seed([2, 1], 0)}) == 3


def test_choices_are_measured_as_the_distributions_say() -> None:
    torch.manual_seed(0)
    logits = torch.randn(200, 50)
    logits[3, 7] = float("-inf")
    tokens = logits.argmax(dim=-1)
    logprobs, entropies = measure_choices(logits, tokens)
    expected = torch.distributions.Categorical(logits=logits.double().clamp(min=-1e4))
    torch.testing.assert_close(logprobs.double(), expected.log_prob(tokens), atol=1e-5, rtol=0)
    torch.testing.assert_close(entropies.double(), expected.entropy(), atol=1e-5, rtol=0)
