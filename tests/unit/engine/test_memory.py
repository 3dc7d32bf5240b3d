"""What the plan of the memory goes by: the machine's memory, the container's, and what a device refuses."""

from pathlib import Path

import pytest
import torch

from aftercall.errors import ModelError
from tests.fixtures.model import build_tiny_model
from worker.engine import runner
from worker.engine.base import SamplingSettings
from worker.engine.build import build_engine
from worker.engine.memory.oom import OutOfDeviceMemoryError, find_fitting
from worker.engine.memory.ram import available_ram
from worker.engine.options import EngineOptions
from worker.engine.runner import ModelRunner

GIB = 2**30


@pytest.fixture
def meminfo(tmp_path: Path) -> Path:
    """A machine with 16 GiB to spare."""
    path = tmp_path / "meminfo"
    path.write_text(f"MemTotal: {32 * 2**20} kB\nMemAvailable: {16 * 2**20} kB\nHugePages_Total: 0\n")
    return path


def write_cgroup(folder: Path, limit: str, used: int, num_cached: int) -> Path:
    folder.mkdir()
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon {used}\ninactive_file {num_cached}\nactive_file 7\n")
    return folder


def test_a_container_has_what_its_limit_leaves(meminfo: Path, tmp_path: Path) -> None:
    cgroup = write_cgroup(tmp_path / "cgroup", str(4 * GIB), used=3 * GIB, num_cached=GIB // 2)
    assert available_ram(meminfo, cgroup) == GIB + GIB // 2


def test_a_full_container_has_nothing(meminfo: Path, tmp_path: Path) -> None:
    cgroup = write_cgroup(tmp_path / "cgroup", str(GIB), used=GIB + 4096, num_cached=0)
    assert available_ram(meminfo, cgroup) == 0


def test_a_limit_beyond_the_machine_adds_nothing(meminfo: Path, tmp_path: Path) -> None:
    cgroup = write_cgroup(tmp_path / "cgroup", str(64 * GIB), used=0, num_cached=0)
    assert available_ram(meminfo, cgroup) == 16 * GIB


def test_without_a_limit_the_machine_counts(meminfo: Path, tmp_path: Path) -> None:
    assert available_ram(meminfo, write_cgroup(tmp_path / "cgroup", "max", used=GIB, num_cached=0)) == 16 * GIB
    assert available_ram(meminfo, tmp_path / "none") == 16 * GIB
    assert available_ram(tmp_path / "none", tmp_path / "none") == 4 * GIB


def measure_up_to(num_fitting: int, num_tokens: int) -> int:
    """A device with memory for so many tokens of a kibibyte each."""
    if num_tokens > num_fitting:
        raise OutOfDeviceMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
    return num_tokens * 1024


def test_a_prefill_is_halved_until_the_device_has_room_for_it() -> None:
    assert find_fitting(8192, lambda num_tokens: measure_up_to(8192, num_tokens)) == (8192, 8 * 2**20)
    assert find_fitting(8192, lambda num_tokens: measure_up_to(3000, num_tokens)) == (2048, 2 * 2**20)
    with pytest.raises(OutOfDeviceMemoryError):
        find_fitting(8192, lambda num_tokens: measure_up_to(200, num_tokens))


def test_smaller_prefills_are_worth_their_step_earlier() -> None:
    options = EngineOptions.for_gpu((9, 0)).limited_to(2048)
    assert (options.max_num_batched_tokens, options.min_prefill_tokens) == (2048, 1024)
    assert options.max_num_seqs == EngineOptions.for_gpu((9, 0)).max_num_seqs


def test_memory_is_planned_for_a_prefill_of_the_longest_prompt() -> None:
    options = EngineOptions.for_gpu((9, 0))
    assert options.with_whole_prompts(32_768).max_num_batched_tokens == 32_768
    assert options.with_whole_prompts(2048) == options


def test_a_device_without_memory_for_the_cache_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.\nmore of it")

    monkeypatch.setattr(runner, "allocate_cache", refuse)
    tiny = build_tiny_model("llama")
    with pytest.raises(ModelError, match=r"no memory for the engine .* 20.00 MiB\. Use quantization nf4"):
        build_engine(tiny.model, tiny.tokenizer, SamplingSettings())


def test_an_engine_goes_by_what_its_device_has_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU, whose largest prefill is tried out; here the trial is a number."""
    monkeypatch.setattr(ModelRunner, "_measure_prefill", lambda _, num_tokens: measure_up_to(1000, num_tokens))
    plan = ModelRunner._plan

    def plan_as_on_a_gpu(self: ModelRunner) -> int:
        self._fit_prefill()
        return plan(self)

    monkeypatch.setattr(ModelRunner, "_plan", plan_as_on_a_gpu)
    tiny = build_tiny_model("llama")
    engine = build_engine(tiny.model, tiny.tokenizer, SamplingSettings(), EngineOptions(4, 4096, 2048))
    engine.close()
    assert engine._scheduler.limits.max_num_batched_tokens == 512
