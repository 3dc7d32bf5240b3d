"""A model's pass over one step: packed prompts, or one token of each sequence, with keys and values in the cache.

Knows a transformers model and how its attention is computed; knows no sampling, no graph and no limit.
"""

from collections.abc import Sequence as Seq
from typing import Any

import torch

from worker.engine.attention.base import AttentionBackend, DecodeLayout, PrefillLayout
from worker.engine.context import StepContext, step_context
from worker.engine.inputs import PrefillInputs
from worker.engine.memory.kv_cache import LayerCache
from worker.engine.sequence import Sequence
from worker.engine.unsupported import unsupported


class Forward:
    """From a step's tokens to logits. `sequences` are empty in a captured step, which may use tensors only."""

    def __init__(self, model: Any, backend: AttentionBackend, page_size: int) -> None:
        self.page_size = page_size
        self.layers: list[LayerCache] = []
        self._model = model
        self._backend = backend

    def prefill(self, inputs: PrefillInputs, sequences: Seq[Sequence] = ()) -> torch.Tensor:
        """The logits behind the last token of each prompt."""
        layout = PrefillLayout(
            slots=inputs.slots,
            tiles=inputs.tiles,
            lengths=tuple(s.num_tokens for s in sequences if s.read_with is None),
            first_pages=tuple(s.pages[0] for s in sequences if s.read_with is None),
        )
        return self._run(inputs.token_ids, inputs.positions, layout, inputs.last)

    def decode(
        self, token_ids: torch.Tensor, positions: torch.Tensor, tables: torch.Tensor, sequences: Seq[Sequence] = ()
    ) -> torch.Tensor:
        """The logits behind each token; `tables` has the pages of its sequence."""
        pages = tables.gather(1, (positions // self.page_size)[:, None]).squeeze(1)
        layout = DecodeLayout(
            slots=pages.long() * self.page_size + positions % self.page_size,
            tables=tables,
            lengths=(positions + 1).int(),
            host_pages=tuple(s.pages[0] for s in sequences),
            host_lengths=tuple(s.num_cached for s in sequences),
        )
        return self._run(token_ids, positions, layout, 0)

    def _run(
        self,
        token_ids: torch.Tensor,
        positions: torch.Tensor,
        layout: PrefillLayout | DecodeLayout,
        keep: torch.Tensor | int,
    ) -> torch.Tensor:
        with step_context(StepContext(self._backend, self.layers, layout)) as context:
            output = self._model(
                input_ids=token_ids[None], position_ids=positions[None], use_cache=False, logits_to_keep=keep
            )
        if context.num_calls != len(self.layers):
            raise unsupported(
                f"it makes {context.num_calls} attention calls that the engine sees, for {len(self.layers)} layers"
            )
        logits: torch.Tensor = output.logits[0]
        return logits
