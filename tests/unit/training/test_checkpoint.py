"""A run resumes from a complete checkpoint, with the options and data that it was started with, and no others."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from aftercall.errors import AdapterError
from tests.unit.training.examples import make_example
from training.data.splits import Splits
from training.fit.checkpoint import begin_run, check_run, find_checkpoint, has_checkpoint, saving
from training.fit.recipe import get_recipe

RECIPE = get_recipe("smollm2-135m-tweetsumm")
SPLITS = Splits([make_example("a", "One.")], [make_example("b", "Two.", user="hello")])


def make_checkpoint(run: Path, step: int) -> Path:
    folder = run / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    (folder / "trainer_state.json").write_text("{}")
    return folder


def test_the_last_complete_checkpoint_is_found(tmp_path: Path) -> None:
    make_checkpoint(tmp_path, 9)
    tenth = make_checkpoint(tmp_path, 10)
    (make_checkpoint(tmp_path, 11) / "trainer_state.json").unlink()
    for step, state in ((12, ""), (13, '{"epoch": 1'), (14, "\0" * 20)):
        (make_checkpoint(tmp_path, step) / "trainer_state.json").write_text(state)
    assert find_checkpoint(tmp_path) == tenth


def test_a_run_killed_before_its_first_checkpoint_cannot_be_resumed(tmp_path: Path) -> None:
    (make_checkpoint(tmp_path, 1) / "trainer_state.json").unlink()
    assert not has_checkpoint(tmp_path)
    with pytest.raises(AdapterError, match="has no checkpoint to resume from; train without --resume"):
        check_run(tmp_path, RECIPE, SPLITS, 1)


def test_a_run_resumes_with_the_options_it_was_started_with(tmp_path: Path) -> None:
    begin_run(tmp_path / "run", RECIPE, SPLITS, 2)
    make_checkpoint(tmp_path / "run", 1)
    check_run(tmp_path / "run", RECIPE, SPLITS, 2)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda run: check_run(run, replace(RECIPE, patience=2), SPLITS, 1), "patience 0, not 2"),
        (lambda run: check_run(run, replace(RECIPE, base="other", lora_r=8), SPLITS, 1),
         "base smollm2-135m-instruct, not other; lora_r 16, not 8"),
        (lambda run: check_run(run, RECIPE, SPLITS, 2), "GPUs 1, not 2"),
        (lambda run: check_run(run, RECIPE, replace(SPLITS, train=SPLITS.validation), 1), r"training data \w{16}, not"),
        (lambda run: check_run(run, RECIPE, replace(SPLITS, validation=SPLITS.train), 1), r"held-out data \w{16}, not"),
    ],
)  # fmt: skip
def test_every_difference_is_named(tmp_path: Path, change: Callable[[Path], None], said: str) -> None:
    begin_run(tmp_path, RECIPE, SPLITS, 1)
    make_checkpoint(tmp_path, 1)
    with pytest.raises(AdapterError, match=rf"was started with {said}.*\. Resume it with .* or train without --resume"):
        change(tmp_path)


def test_a_run_without_its_options_file_cannot_be_resumed(tmp_path: Path) -> None:
    make_checkpoint(tmp_path, 1)
    with pytest.raises(AdapterError, match=r"run\.json does not say what the run was started with .*without --resume"):
        check_run(tmp_path, RECIPE, SPLITS, 1)
    (tmp_path / "run.json").write_text(json.dumps(["no", "object"]))
    with pytest.raises(AdapterError, match=r"run\.json does not say"):
        check_run(tmp_path, RECIPE, SPLITS, 1)


def test_only_disk_errors_are_reported_as_disk_errors(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match=r"a file was truncated\. Free some space or fix"), saving(tmp_path):
        raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 199488 vs 199376")
    with pytest.raises(RuntimeError, match="CUDA error"), saving(tmp_path):
        raise RuntimeError("CUDA error: an illegal memory access")
