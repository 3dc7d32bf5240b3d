"""The loss of a model on references, and its perplexity."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn.functional import cross_entropy

from training.data.dataset import Example
from training.data.trees import collate_trees, encode_tree, model_inputs
from worker.loading.load import LoadedModel


@dataclass(frozen=True, slots=True)
class ReferenceLoss:
    """Mean cross-entropy over all references' tokens."""

    loss: float
    num_tokens: int

    @property
    def perplexity(self) -> float:
        """The exponential of the loss."""
        # A larger exponent overflows a float; a loss this high only means that training diverged.
        return math.exp(min(self.loss, 700.0))


def measure_loss(loaded: LoadedModel, examples: Sequence[Example], max_prompt_tokens: int) -> ReferenceLoss:
    """The loss over all references, one conversation at a time."""
    total, num_tokens = 0.0, 0
    for example in examples:
        tree = encode_tree(loaded.tokenizer, example, max_prompt_tokens)
        batch = {
            name: tensor.to(loaded.device)
            for name, tensor in collate_trees([tree], loaded.tokenizer.pad_token_id).items()
        }
        targets = batch["labels"][0]
        with torch.inference_mode():
            logits = loaded.model(**model_inputs(batch), use_cache=False).logits[0]
        total += float(cross_entropy(logits.float(), targets, reduction="sum"))
        num_tokens += len(targets)
    return ReferenceLoss(total / num_tokens, num_tokens)
