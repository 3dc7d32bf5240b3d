"""Cross-entropy over a large vocabulary that holds the logits of a few positions at a time.

The logits of one row take `positions * vocabulary * 4` bytes, several times over in the backward pass. The output layer
is frozen, so the gradient of the hidden states can be computed chunk by chunk in the forward pass, without computing
anything twice.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

#: Logits held at a time: 32 MiB in float32.
CHUNK_LOGITS = 1 << 23


def sum_loss(model: nn.Module, inputs: Mapping[str, Tensor], targets: Tensor, head: nn.Module | None) -> Tensor:
    """The sum of the cross-entropy over `targets`, shape (positions,).

    Args:
        inputs: the model's arguments for one row; its logits are those of the positions that predict the targets.
        head: the output layer as `find_head` found it; None computes all logits at once.
    """
    if head is None:
        return cross_entropy(model(**inputs, use_cache=False).logits[0].float(), targets, reduction="sum")
    with _skipping(head):
        hidden = model(**inputs, use_cache=False).logits[0]
    return _ChunkedCrossEntropy.apply(hidden, head, targets)  # type: ignore[no-any-return,no-untyped-call]


def find_head(model: Any, inputs: Mapping[str, Tensor], targets: Tensor) -> nn.Module | None:
    """The output layer, if the loss in chunks is that of the model's own logits on this row; None otherwise.

    Some families scale or cap the logits after the output layer. Comparing the losses finds them, whatever they do.
    """
    head = model.get_output_embeddings()
    if head is None or any(weight.requires_grad for weight in head.parameters()):
        return None
    was_training = model.training
    model.eval()
    with torch.no_grad():
        whole, chunked = (sum_loss(model, inputs, targets, each) for each in (None, head))
    model.train(was_training)
    return head if torch.isclose(whole, chunked, rtol=1e-3) else None


@contextmanager
def _skipping(head: nn.Module) -> Iterator[None]:
    """Let the output layer return what it is given, so that the model's logits are its hidden states."""
    # accelerate may have set a `forward` of its own on the layer.
    forward = head.__dict__.get("forward")
    head.forward = lambda hidden: hidden
    try:
        yield
    finally:
        del head.forward
        if forward is not None:
            head.forward = forward


class _ChunkedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, head: nn.Module, targets: Tensor) -> Tensor:
        vocab_size: Any = head.weight.shape[0]  # type: ignore[index]
        size = max(1, CHUNK_LOGITS // int(vocab_size))
        total = torch.zeros((), device=hidden.device)
        gradients = []
        for states, labels in zip(torch.split(hidden, size), torch.split(targets, size), strict=True):
            with torch.set_grad_enabled(ctx.needs_input_grad[0]):
                states = states.detach().requires_grad_(ctx.needs_input_grad[0])
                loss = cross_entropy(head(states).float(), labels, reduction="sum")
            total += loss.detach()
            if ctx.needs_input_grad[0]:
                gradients.append(torch.autograd.grad(loss, states)[0])
        if gradients:
            ctx.save_for_backward(torch.cat(gradients))
        return total

    @staticmethod
    def backward(ctx: Any, *outer: Any) -> Any:
        (gradient,) = ctx.saved_tensors
        return gradient * outer[0], None, None
