"""Prompts as one packed batch. Knows sequences and pages; knows no model."""

from collections.abc import Callable
from collections.abc import Sequence as Seq
from typing import Any

import numpy as np
import torch

from worker.engine.context import PrefillLayout
from worker.engine.sequence import Sequence

#: Brings a host array to the device.
Upload = Callable[[Any], torch.Tensor]


def pack_prompts(
    sequences: Seq[Sequence], page_size: int, upload: Upload
) -> tuple[torch.Tensor, torch.Tensor, PrefillLayout]:
    """Token ids, positions and layout of whole prompts, one behind the other."""
    lengths = [sequence.num_tokens for sequence in sequences]
    token_ids = np.fromiter((token for s in sequences for token in s.tokens), np.int64, sum(lengths))
    positions = np.concatenate([np.arange(length) for length in lengths])
    pages = [np.repeat(s.pages, page_size)[:length] for s, length in zip(sequences, lengths, strict=True)]
    layout = PrefillLayout(
        slots=upload(np.concatenate(pages) * page_size + positions % page_size),
        boundaries=upload(np.cumsum([0, *lengths], dtype=np.int32)),
        lengths=tuple(lengths),
        first_pages=tuple(sequence.pages[0] for sequence in sequences),
    )
    return upload(token_ids), upload(positions), layout
