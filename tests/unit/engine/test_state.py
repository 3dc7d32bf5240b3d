"""The decode tables follow the sequences' pages."""

import torch

from worker.engine.sequence import Sequence
from worker.engine.state import DecodeState


def test_a_row_forgets_the_pages_of_the_sequence_before() -> None:
    state = DecodeState(max_num_seqs=3, max_pages=4, device=torch.device("cpu"))
    state.enter([Sequence((0,) * 8, 5, row=1, pages=[7, 8])])
    state.enter([Sequence((0,) * 8, 5, row=1, pages=[2, 9])])
    assert state.tables[1, :2].tolist() == [2, 9]


def test_a_growing_sequence_gets_its_new_pages_only() -> None:
    state = DecodeState(max_num_seqs=3, max_pages=4, device=torch.device("cpu"))
    neighbour, growing = Sequence((0,), 5, row=0, pages=[4]), Sequence((0,), 5, row=2, pages=[1])
    state.enter([neighbour, growing])
    growing.pages.append(6)
    state.update_pages([neighbour, growing])
    assert state.tables[:3, :2].tolist() == [[4, 0], [0, 0], [1, 6]]


def test_the_row_that_fills_up_batches_stays_on_the_scratch_page() -> None:
    state = DecodeState(max_num_seqs=2, max_pages=3, device=torch.device("cpu"))
    state.enter([Sequence((0,), 5, row=0, pages=[1]), Sequence((0,), 5, row=1, pages=[2])])
    assert state.tables[state.scratch_row].tolist() == [0, 0, 0]
