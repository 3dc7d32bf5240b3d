"""What the device remembers of the running sequences between two steps, one row a sequence.

The tokens that a step samples stay on the device as the next step's input: the host reads them one step later,
while the device is at work.
"""

from collections.abc import Sequence as Seq

import numpy as np
import torch

from worker.engine.sequence import Sequence


class DecodeState:
    """Last token, seed and pages of every row. One row more than sequences fills up captured batches."""

    def __init__(self, max_num_seqs: int, max_pages: int, device: torch.device) -> None:
        self.scratch_row = max_num_seqs
        num_rows = max_num_seqs + 1
        self.last_tokens = torch.zeros(num_rows, dtype=torch.long, device=device)
        self.seeds = torch.zeros(num_rows, dtype=torch.long, device=device)
        self.tables = torch.zeros(num_rows, max_pages, dtype=torch.int32, device=device)
        self._host_tables = np.zeros((num_rows, max_pages), dtype=np.int32)
        self._num_pages = [0] * num_rows
        self._device = device

    def enter(self, sequences: Seq[Sequence]) -> None:
        """Bring the pages of sequences that begin anew into their rows."""
        for sequence in sequences:
            self._num_pages[sequence.row] = 0
        self.update_pages(sequences)

    def update_pages(self, sequences: Seq[Sequence]) -> None:
        """Bring the tables up to the sequences' pages."""
        is_changed = False
        for sequence in sequences:
            num_known = self._num_pages[sequence.row]
            if len(sequence.pages) != num_known:
                self._host_tables[sequence.row, num_known : len(sequence.pages)] = sequence.pages[num_known:]
                self._num_pages[sequence.row] = len(sequence.pages)
                is_changed = True
        if is_changed:
            self.tables.copy_(self.staged(self._host_tables), non_blocking=True)

    def upload(self, array: "np.ndarray[tuple[int, ...], np.dtype[np.integer]]") -> torch.Tensor:
        """`array` on the device, without waiting for the device."""
        return self.staged(array).to(self._device, non_blocking=True)

    def staged(self, array: "np.ndarray[tuple[int, ...], np.dtype[np.integer]]") -> torch.Tensor:
        """A copy that the host will not overwrite while the device still reads it."""
        tensor = torch.from_numpy(array)
        return tensor.pin_memory() if self._device.type == "cuda" else tensor
