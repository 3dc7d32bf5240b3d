"""From logits to tokens. Knows no sequence: what tells the rows apart is their seeds and positions."""

from collections.abc import Sequence
from hashlib import blake2b

import torch

from worker.engine.base import SamplingSettings

#: Rows whose probabilities are computed together.
_MEASURED_ROWS = 128

_LEAST_LOG = -1e4


#: The seed of a sequence that is decoded greedily.
GREEDY = 0


def sequence_seed(prompt: Sequence[int], seed: int, draw: int = 0) -> int:
    """A seed for one completion of one prompt, whatever else is in the batch and whenever it comes."""
    parts = (seed, tuple(prompt), draw) if draw else (seed, tuple(prompt))
    digest = blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True) or 1


def choose_tokens(
    logits: torch.Tensor, seeds: torch.Tensor, positions: torch.Tensor, settings: SamplingSettings
) -> torch.Tensor:
    """One token id for each row of `logits`; rows whose seed is GREEDY get the most probable one."""
    # On a CPU, PyTorch searches half-precision numbers one by one, and float32 eight times as fast.
    best = (logits if logits.is_cuda else logits.float()).argmax(dim=-1)
    if not (settings.do_sample or settings.num_samples):
        return best
    candidates = settings.top_k if 0 < settings.top_k < logits.shape[-1] else logits.shape[-1]
    scores, tokens = (logits.float() / settings.temperature).topk(candidates, dim=-1)
    chosen = _draw(_nucleus(scores.softmax(dim=-1), settings.top_p), _uniform(seeds, positions))
    return torch.where(seeds == GREEDY, best, tokens.gather(-1, chosen[:, None]).squeeze(-1))


def measure_choices(logits: torch.Tensor, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The log-probability of each row's token and the entropy of each row, in nats, before any temperature.

    A few rows at a time: as many numbers as the vocabulary has words in each row would be a gigabyte for a full batch.
    """
    logprobs, entropies = [], []
    for part, chosen in zip(torch.split(logits, _MEASURED_ROWS), torch.split(tokens, _MEASURED_ROWS), strict=True):
        scores = part.float()
        # A word that the model rules out has minus infinity here, which times its probability would be no number.
        below = (scores - scores.amax(dim=-1, keepdim=True)).clamp_(min=_LEAST_LOG)
        odds = below.exp()
        total = odds.sum(dim=-1)
        log_total = total.log()
        logprobs.append(below.gather(-1, chosen[:, None]).squeeze(-1) - log_total)
        entropies.append(log_total - torch.linalg.vecdot(odds, below) / total)
    return torch.cat(logprobs), torch.cat(entropies)


def measuring_bytes(vocab_size: int) -> int:
    """Memory that `measure_choices` takes at most."""
    return _MEASURED_ROWS * vocab_size * 4 * 3


def _nucleus(probabilities: torch.Tensor, top_p: float) -> torch.Tensor:
    """Zero what follows the smallest head of each (sorted) row that holds `top_p`; the first always stays."""
    preceding = probabilities.cumsum(dim=-1) - probabilities
    return probabilities.where(preceding < top_p, 0.0)


def _draw(weights: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """The index of each row at which the running sum of its weights reaches `uniform` of their total."""
    sums = weights.cumsum(dim=-1)
    # Strictly less: a product that rounds up to the total still lands on the last weight that is not zero.
    return (sums < uniform[:, None] * sums[:, -1:]).sum(dim=-1)


def _uniform(seeds: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """A number in [0, 1) that is a function of seed and position alone (splitmix64), in exact 64-bit arithmetic.

    A generator's state would tie each draw to the rows around it and to the steps before it.
    """
    x = seeds + (positions + 1) * _signed(0x9E3779B97F4A7C15)
    x = (x ^ _shift(x, 30)) * _signed(0xBF58476D1CE4E5B9)
    x = (x ^ _shift(x, 27)) * _signed(0x94D049BB133111EB)
    x = x ^ _shift(x, 31)
    return _shift(x, 40).to(torch.float32) * 2.0**-24


def _shift(x: torch.Tensor, bits: int) -> torch.Tensor:
    """Logical right shift; torch shifts signed integers arithmetically."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _signed(constant: int) -> int:
    """The 64-bit pattern `constant` as the signed number that torch takes."""
    return constant - (1 << 64)
