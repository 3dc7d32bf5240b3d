"""Which GPUs a worker command means, on machines played by their environment and a stand-in nvidia-smi."""

from pathlib import Path

import pytest

from aftercall.errors import ModelError, SettingsError
from worker.gpus import Gpu, choose_gpus, visible_gpus


@pytest.fixture
def two_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose `nvidia-smi -L` lists two cards."""
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'GPU 0: A (UUID: GPU-a)'\necho '  MIG 1g'\necho 'GPU 1: B (UUID: GPU-b)'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")


@pytest.mark.usefixtures("two_gpus")
def test_all_is_what_the_driver_lists() -> None:
    assert choose_gpus("all", {}) == [Gpu(0, "0"), Gpu(1, "1")]


def test_only_what_the_mask_lets_through_is_visible() -> None:
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": "3, GPU-b,-1,5"}) == [Gpu(0, "3"), Gpu(1, "GPU-b")]
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": ""}) == []


def test_numbers_count_within_the_mask() -> None:
    assert choose_gpus("1,0,1", {"CUDA_VISIBLE_DEVICES": "3,5"}) == [Gpu(1, "5"), Gpu(0, "3")]


@pytest.mark.parametrize(("asked", "mask"), [("none", "0,1"), ("auto", "")])
def test_the_cpu_is_chosen_when_asked_for_or_when_there_is_nothing_else(asked: str, mask: str) -> None:
    assert choose_gpus(asked, {"CUDA_VISIBLE_DEVICES": mask}) == [None]


@pytest.mark.parametrize("asked", ["all", "0"])
def test_a_gpu_asked_for_where_none_is_there_is_an_error(asked: str) -> None:
    with pytest.raises(ModelError, match=r"none is visible.*--gpus none"):
        choose_gpus(asked, {"CUDA_VISIBLE_DEVICES": ""})


def test_a_number_beyond_the_last_gpu_is_an_error() -> None:
    with pytest.raises(ModelError, match="GPU 2, but the last visible one is 1"):
        choose_gpus("0,2", {"CUDA_VISIBLE_DEVICES": "0,1"})


def test_a_word_that_is_no_number_is_an_error() -> None:
    with pytest.raises(SettingsError, match="'some'; expected all"):
        choose_gpus("some", {"CUDA_VISIBLE_DEVICES": "0,1"})


def test_a_machine_without_a_driver_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if Path("/proc/driver/nvidia").exists():
        pytest.skip("this machine has the driver")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert choose_gpus("auto", {}) == [None]
