"""The loss of a model on references, and its perplexity."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn.functional import cross_entropy

from training.data.dataset import Example
from training.data.trees import TreeEncoder, collate_trees, model_inputs
from worker.loading.load import LoadedModel


@dataclass(frozen=True, slots=True)
class ReferenceLoss:
    """Cross-entropy over all references' tokens: for each conversation its sum and the number of tokens."""

    sums: tuple[float, ...]
    num_tokens: tuple[int, ...]

    @property
    def loss(self) -> float:
        """The mean over all tokens."""
        return sum(self.sums) / sum(self.num_tokens)

    @property
    def perplexity(self) -> float:
        """The exponential of the loss."""
        return perplexity(self.loss)


def perplexity(loss: float) -> float:
    """The exponential of a loss."""
    # A larger exponent overflows a float; a loss this high only means that training diverged.
    return math.exp(min(loss, 700.0))


def measure_loss(loaded: LoadedModel, examples: Sequence[Example], max_prompt_tokens: int) -> ReferenceLoss:
    """The loss over all references, one conversation at a time."""
    encoder = TreeEncoder(loaded.tokenizer, loaded.profile)
    sums, num_tokens = [], []
    for example in examples:
        tree = encoder.encode(example, max_prompt_tokens)
        batch = {
            name: tensor.to(loaded.device)
            for name, tensor in collate_trees([tree], loaded.tokenizer.pad_token_id).items()
        }
        targets = batch["labels"][0]
        with torch.inference_mode():
            logits = loaded.model(**model_inputs(batch), use_cache=False).logits[0]
        sums.append(float(cross_entropy(logits.float(), targets, reduction="sum")))
        num_tokens.append(len(targets))
    return ReferenceLoss(tuple(sums), tuple(num_tokens))
