"""A refresh waits for a GPU that workers use, and gives up with their names."""

import pytest

from aftercall.errors import ModelError
from aftercall.ledger.workers import LiveWorker, WorkerRecord
from training.gpu_turn import GpuMemory, wait_for_gpu

GIB = 1024**3
USED, FREE = GpuMemory(2 * GIB, 24 * GIB), GpuMemory(20 * GIB, 24 * GIB)


def find_workers() -> list[LiveWorker]:
    return [LiveWorker(WorkerRecord("gpu0@night", "1", 1, "0007", "tiny", ""), 60.0, 1.0)]


def test_it_starts_once_the_workers_have_left(capsys: pytest.CaptureFixture[str]) -> None:
    readings = iter([USED, USED, FREE])
    wait_for_gpu(find_workers, 60.0, lambda: next(readings), interval_s=0.01)
    assert next(readings, None) is None
    assert capsys.readouterr().out == "waiting for the GPU, which gpu0@night uses\n"


def test_it_gives_up_after_its_limit_and_says_who_uses_the_gpu() -> None:
    with pytest.raises(ModelError, match=r"in use by gpu0@night \(8% of its memory is free, training needs 50%\)"):
        wait_for_gpu(find_workers, 0.05, lambda: USED, interval_s=0.01)
    with pytest.raises(ModelError, match=r"in use by another program .* Stop the workers, wait longer with --wait"):
        wait_for_gpu(list, 0.0, lambda: USED)


@pytest.mark.parametrize("memory", [None, FREE])
def test_without_a_gpu_or_with_a_free_one_nothing_is_waited_for(memory: GpuMemory | None) -> None:
    wait_for_gpu(find_workers, 0.0, lambda: memory)
