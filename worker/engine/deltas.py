"""Adapters in addition to the one in the weights: what each adds to the outputs of linear layers, for its own tokens.

The sequences of one adapter are neighbours in a step, so its tokens are one slice, and a layer costs it two thin
products. Sequences that use the weights as they are cost nothing.
"""

from collections.abc import Mapping
from collections.abc import Sequence as Seq
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import torch

from worker.engine.sequence import Sequence


@dataclass(frozen=True, slots=True, eq=False)
class Delta:
    """What an adapter adds to one linear layer: `hidden @ down @ up`."""

    #: [in_features, rank]
    down: torch.Tensor
    #: [rank, out_features], scaled.
    up: torch.Tensor


class Run(NamedTuple):
    """The tokens of a step that belong to one adapter: neighbours."""

    deltas: Mapping[str, Delta]
    start: int
    stop: int


class AdapterDeltas:
    """The deltas of each loaded adapter, by the names of their layers."""

    def __init__(self) -> None:
        self._loaded: dict[str, Mapping[str, Delta]] = {}

    def __contains__(self, adapter: str) -> bool:
        return adapter in self._loaded

    @property
    def layers(self) -> set[str]:
        """The names of all layers that a loaded adapter changes."""
        return {name for deltas in self._loaded.values() for name in deltas}

    def put(self, adapter: str, deltas: Mapping[str, Delta]) -> None:
        """Load an adapter, or replace it."""
        self._loaded[adapter] = deltas

    def drop(self, adapter: str) -> None:
        """Forget an adapter."""
        self._loaded.pop(adapter, None)

    def find_runs(self, sequences: Seq[Sequence], *, is_prefill: bool) -> tuple[Run, ...]:
        """The slices of the step's tokens that need deltas; `sequences` are sorted by adapter."""
        runs, start = [], 0
        for adapter, group in groupby(sequences, key=lambda sequence: sequence.adapter):
            stop = start + sum(sequence.num_read if is_prefill else 1 for sequence in group)
            if adapter:
                runs.append(Run(self._loaded[adapter], start, stop))
            start = stop
        return tuple(runs)


def add_deltas(layer: str, hidden: torch.Tensor, output: torch.Tensor, runs: Seq[Run]) -> None:
    """Add each adapter's delta of a layer to its slice of `output`, in place.

    Args:
        hidden: the layer's input, `[..., tokens, in_features]`.
        output: `[..., tokens, out_features]`.
    """
    rows_in, rows_out = hidden.flatten(0, -2), output.flatten(0, -2)
    for deltas, start, stop in runs:
        delta = deltas.get(layer)
        if delta is not None:
            rows_out[start:stop].addmm_(rows_in[start:stop] @ delta.down, delta.up)
