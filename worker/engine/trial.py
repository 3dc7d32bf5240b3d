"""Tries a model out before anything is served: the engine's logits beside the model's own, on two short prompts.

A model may do more than its attention calls show: count positions in a way of its own, or keep a state beside the
attention. Called as the engine calls it, it would answer, and wrongly. Knows no scheduler and no sampling.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from aftercall.errors import ModelError
from worker.engine.forward import Forward
from worker.engine.inputs import PrefillInputs, PrefillSize, pack_prompts
from worker.engine.memory.oom import is_out_of_memory
from worker.engine.memory.pages import SCRATCH_PAGE
from worker.engine.sequence import Sequence
from worker.engine.unsupported import unsupported

#: Tokens of each prompt, the last of which is decoded. Unlike lengths, so that a mixed up pair shows.
_LENGTHS = (16, 10)

#: The scratch page, and one for each prompt.
NUM_TRIAL_PAGES = 1 + len(_LENGTHS)

#: How far logits may be apart, in standard deviations of the vocabulary's. Models served rightly came to 0.000005 in
#: float32 and 0.045 in half precision; those served wrongly, to 0.44 and more.
_MAX_GAP, _MAX_FLOAT32_GAP = 0.25, 0.01


def own_logits(model: Any, max_model_len: int) -> torch.Tensor:
    """What `model`, whose attention is still its own, says behind the last two tokens of each prompt."""
    with _refusing("called with a short prompt"), torch.inference_mode():
        logits = [
            model(input_ids=torch.tensor([prompt], device=model.device), use_cache=False).logits[0, -2:]
            for prompt in _prompts(model, max_model_len)
        ]
    return torch.stack(logits).float()


def check_answers(model: Any, max_model_len: int, forward: Forward, expected: torch.Tensor) -> None:
    """Raise ModelError if `forward` comes to other logits than `expected`, or to none."""
    with _refusing("called as the engine calls it"), torch.inference_mode():
        logits = _engine_logits(_prompts(model, max_model_len), forward, model.device)
    # 8-bit layers round a prompt by what stands beside it. Where its own numbers overflow, each prompt says so.
    if getattr(model, "is_loaded_in_8bit", False) or not expected.isfinite().all():
        return
    # What all logits of a position are off by, no softmax sees.
    gap = ((logits - expected).std(dim=-1) / expected.std(dim=-1)).max().item()
    if not gap <= (_MAX_FLOAT32_GAP if model.dtype == torch.float32 else _MAX_GAP):
        raise unsupported(f"the engine comes to other logits than transformers, by {gap:.2f} standard deviations")


@contextmanager
def _refusing(way: str) -> Iterator[None]:
    """What a model raises becomes the sentence about it; what its device does is not its fault."""
    try:
        yield
    except ModelError:
        raise
    except Exception as error:
        if is_out_of_memory(error) or isinstance(error, torch.AcceleratorError):
            raise
        raise unsupported(f"{way}, it raises {type(error).__name__}: {error}") from error


def _prompts(model: Any, max_model_len: int) -> list[tuple[int, ...]]:
    """From the middle of the vocabulary, away from special tokens at either end."""
    size = model.config.get_text_config().vocab_size
    return [
        tuple(size // 2 + (length + 5 * place**2) % (size // 3) for place in range(min(length, max_model_len)))
        for length in _LENGTHS
    ]


def _engine_logits(prompts: list[tuple[int, ...]], forward: Forward, device: torch.device) -> torch.Tensor:
    """`[prompts, 2, vocabulary]`: behind all but the last token, prefilled; behind the last one, decoded."""
    sequences = [Sequence(prompt[:-1], 2, pages=[index]) for index, prompt in enumerate(prompts, SCRATCH_PAGE + 1)]
    size = PrefillSize.of(sequences)
    row = torch.from_numpy(pack_prompts(sequences, forward.page_size, size, scratch_row=0)).to(device)
    prefilled = forward.prefill(PrefillInputs.of(row, size), sequences)
    for sequence, prompt in zip(sequences, prompts, strict=True):
        sequence.completion.append(prompt[-1])
        sequence.num_cached = len(prompt)
    decoded = forward.decode(
        torch.tensor([prompt[-1] for prompt in prompts], device=device),
        torch.tensor([len(prompt) - 1 for prompt in prompts], device=device),
        torch.tensor([sequence.pages for sequence in sequences], dtype=torch.int32, device=device),
        sequences,
    )
    return torch.stack([prefilled, decoded], dim=1).float()
