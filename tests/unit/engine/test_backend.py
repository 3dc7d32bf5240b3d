"""Which attention and which sizes a device gets, by what it can do."""

import pytest

torch = pytest.importorskip("torch")

from worker.engine.attention.gathered import GatheredAttention  # noqa: E402
from worker.engine.attention.select import choose_backend, runs_kernels  # noqa: E402
from worker.engine.attention.whole import WholeSequenceAttention  # noqa: E402
from worker.engine.options import EngineOptions  # noqa: E402

T4, A10, H200 = (7, 5), (8, 6), (9, 0)


def test_kernels_run_from_sm_80_on_in_half_precision() -> None:
    assert not runs_kernels(T4, torch.float16)
    assert runs_kernels(A10, torch.float16)
    assert runs_kernels(H200, torch.bfloat16)
    assert not runs_kernels(H200, torch.float32)


def test_a_t4_gets_what_an_old_gpu_can_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: T4)
    device = torch.device("cuda", 0)
    assert isinstance(choose_backend(device, torch.float16), GatheredAttention)
    options = EngineOptions.for_device(device)
    assert not options.is_compiled
    assert not options.is_gelu_fused


def test_a_recent_gpu_compiles_and_captures_all_but_8_bits() -> None:
    assert EngineOptions.for_gpu(H200).is_compiled
    assert EngineOptions.for_gpu(H200).is_captured
    assert not EngineOptions.for_gpu(T4).is_compiled
    assert not EngineOptions.for_gpu(H200, is_int8=True).is_compiled
    assert not EngineOptions.for_gpu(H200, is_int8=True).is_captured


def test_a_cpu_gets_whole_sequences() -> None:
    assert isinstance(choose_backend(torch.device("cpu"), torch.float32), WholeSequenceAttention)
