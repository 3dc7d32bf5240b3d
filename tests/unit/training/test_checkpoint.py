"""A run goes on from a whole checkpoint of its own base model and matrices, and from no other."""

import json
from pathlib import Path

import pytest

from aftercall.errors import AdapterError
from training.checkpoint import find_checkpoint, has_checkpoint
from training.recipe import get_recipe

RECIPE = get_recipe("smollm2-135m-tweetsumm")


def make_checkpoint(run: Path, step: int, base: str = "/models/small") -> Path:
    folder = run / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    config = {
        "base_model_name_or_path": base,
        "r": RECIPE.lora_r,
        "lora_alpha": RECIPE.lora_alpha,
        "target_modules": list(RECIPE.target_modules),
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))
    (folder / "trainer_state.json").write_text("{}")
    return folder


def test_the_last_whole_checkpoint_is_found(tmp_path: Path) -> None:
    make_checkpoint(tmp_path, 9)
    tenth = make_checkpoint(tmp_path, 10)
    cut_short = make_checkpoint(tmp_path, 11)
    (cut_short / "trainer_state.json").unlink()
    assert find_checkpoint(tmp_path, RECIPE, "/models/small") == tenth


def test_a_checkpoint_of_another_base_is_refused(tmp_path: Path) -> None:
    make_checkpoint(tmp_path, 1, base="/models/other")
    with pytest.raises(AdapterError, match=r"is of /models/other .* this run is of /models/small .*without --resume"):
        find_checkpoint(tmp_path, RECIPE, "/models/small")


def test_a_run_that_was_cut_short_at_once_has_nothing_to_go_on_from(tmp_path: Path) -> None:
    (make_checkpoint(tmp_path, 1) / "trainer_state.json").unlink()
    assert not has_checkpoint(tmp_path)
    with pytest.raises(AdapterError, match="has no checkpoint to go on from; train without --resume"):
        find_checkpoint(tmp_path, RECIPE, "/models/small")
