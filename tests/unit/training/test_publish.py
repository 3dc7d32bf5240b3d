"""Publishing: a folder appears complete or not at all, with a card that says where it came from."""

import json
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aftercall.errors import AdapterError
from training.fit.recipe import get_recipe
from training.fit.training_run import LossPoint, TrainingRun
from training.registry.card import TWEETSUMM_LICENCES, Card, render_card, write_card
from training.registry.publish import Origin, publish
from worker.adapters.manifest import AdapterManifest, check_adapter, compute_digest, read_manifest

ORIGIN = Origin(
    base_model="tiny", base_digest="b" * 16, quantization="none", recipe="r", data_digest="d" * 64, metrics={"x": 1.0}
)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """What training left: peft's two files."""
    folder = tmp_path / "saved"
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"r": 4, "target_modules": ["q_proj"]}))
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    return folder


def test_an_adapter_is_published_under_its_digest(saved: Path, tmp_path: Path) -> None:
    folder = publish(saved, tmp_path / "adapters", ORIGIN)
    assert folder == tmp_path / "adapters" / compute_digest(saved)
    assert check_adapter(folder, "tiny", "1").metrics == {"x": 1.0}
    assert publish(saved, tmp_path / "adapters", ORIGIN) == folder
    assert [path.name for path in (tmp_path / "adapters").iterdir()] == [folder.name]


def test_a_publication_that_fails_leaves_nothing_behind(saved: Path, tmp_path: Path) -> None:
    def disk_full(folder: Path, manifest: AdapterManifest) -> None:
        assert (folder / "manifest.json").exists()
        raise OSError(28, "No space left on device")

    with pytest.raises(AdapterError, match=r"cannot be written: No space left on device\. Make room"):
        publish(saved, tmp_path / "adapters", ORIGIN, disk_full)
    assert list((tmp_path / "adapters").iterdir()) == []


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A folder on a file system of 64 KiB, or one where no file may grow beyond that."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode == 0:
        try:
            yield folder
        finally:
            subprocess.run(["umount", str(folder)], check=True)
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, hard))
    try:
        yield folder
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_nothing_and_what_was_there_untouched(saved: Path, tmp_path: Path) -> None:
    large = shutil.copytree(saved, tmp_path / "large")
    (large / "adapter_model.safetensors").write_bytes(bytes(100_000))
    with small_disk(tmp_path / "adapters") as adapters:
        active = publish(saved, adapters, ORIGIN)
        before = {path: path.read_bytes() for path in active.iterdir()}
        with pytest.raises(AdapterError, match=r"cannot be written: .*\. Make room or fix the rights, then try again"):
            publish(large, adapters, ORIGIN)
        assert list(adapters.iterdir()) == [active]
        assert {path: path.read_bytes() for path in active.iterdir()} == before


def make_card(manifest: AdapterManifest) -> Card:
    curve = (LossPoint(1, 0.5, 3.0, None), LossPoint(2, 1.0, 2.0, None), LossPoint(2, 1.0, None, 2.5))
    form = {"words": 30.0, "two_sentences": 98.5, "whole": 97.5}
    facts = {"copied": 20.0, "unsupported": 2.0, "role_swapped": 1.5}
    rouge = {f"rouge{kind}_{over}": 43.21 for kind in ("1", "2", "L") for over in ("average", "best")}
    return Card(
        judged_on="quantization none, float32",
        manifest=manifest,
        recipe=get_recipe("smollm2-135m-tweetsumm"),
        training=TrainingRun(4_884_480, 139_400_000, 2, 1000, 90.0, "one GPU", curve),
        data="tweetsumm",
        licences=TWEETSUMM_LICENCES,
        scores={"this": rouge | form | facts},
    )


def test_the_card_answers_a_readers_questions(saved: Path, tmp_path: Path) -> None:
    folder = publish(saved, tmp_path / "adapters", ORIGIN)
    card = make_card(read_manifest(folder))
    text = render_card(card)
    for fact in (
        "4,884,480 of 139,400,000 (3.50%)",
        "2 steps, 1.5 minutes on one GPU",
        "| words | two sentences % | whole % | copied % | unsupported % | roles swapped % |",
        "| this | 43.2 |",
        "| 30.0 | 98.5 | 97.5 | 20.0 | 2.0 | 1.5 |",
        "its best is over one reference fewer",
        "LICENSE file puts its annotations under CC0 1.0, its README under CDLA-Sharing 1.0",
        "CC BY-NC-SA",
    ):
        assert fact in text
    write_card(folder, card)
    assert json.loads((folder / "card.json").read_text())["recipe"]["learning_rate"] == card.recipe.learning_rate
    assert (folder / "loss.png").read_bytes().startswith(b"\x89PNG")
