"""An adapter's folder: its digest, its manifest, and what is refused."""

import json
import os
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aftercall.errors import AdapterError
from worker.adapters.manifest import (
    CONFIG_FILE,
    MANIFEST_FILE,
    WEIGHTS_FILE,
    AdapterManifest,
    check_adapter,
    compute_digest,
    read_manifest,
    write_manifest,
)

BASE = "microsoft/phi-1_5"
CONFIG: dict[str, Any] = {
    "r": 16,
    "target_modules": ["v_proj", "q_proj"],
    "base_model_name_or_path": "/home/someone/phi",
}


def write_adapter(folder: Path, config: dict[str, Any] = CONFIG, weights: bytes = b"weights") -> AdapterManifest:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG_FILE).write_text(json.dumps(config))
    (folder / WEIGHTS_FILE).write_bytes(weights)
    manifest = AdapterManifest(
        digest=compute_digest(folder),
        base_model=BASE,
        base_digest="0123456789abcdef",
        quantization="nf4",
        recipe="phi-1_5-tweetsumm",
        prompt_version="1",
        cleaner_version="1",
        data_digest="feed",
        metrics={"rouge1": 43.8},
        parents=("aa", "bb"),
        created_at="2026-11-22T10:00:00+00:00",
        library_versions={"peft": "0.21.2"},
    )
    write_manifest(folder, manifest)
    return manifest


def test_a_manifest_is_read_as_it_was_written(tmp_path: Path) -> None:
    manifest = write_adapter(tmp_path)
    assert read_manifest(tmp_path) == manifest
    assert sorted(path.name for path in tmp_path.iterdir()) == [CONFIG_FILE, WEIGHTS_FILE, MANIFEST_FILE]


def test_a_whole_adapter_for_this_base_and_prompt_passes(tmp_path: Path) -> None:
    manifest = write_adapter(tmp_path)
    assert check_adapter(tmp_path, BASE, "1", base_digest="0123456789abcdef") == manifest


def test_a_folder_named_like_the_hub_id_is_the_same_base_but_another_owner_is_not(tmp_path: Path) -> None:
    write_adapter(tmp_path)
    check_adapter(tmp_path, "phi-1_5", "1")
    with pytest.raises(AdapterError, match="somebody/phi-1_5"):
        check_adapter(tmp_path, "somebody/phi-1_5", "1")


def test_the_digest_depends_on_content_alone(tmp_path: Path) -> None:
    original = write_adapter(tmp_path / "a").digest
    reordered = {
        "base_model_name_or_path": "elsewhere",
        "target_modules": ["q_proj", "v_proj"],
        "r": 16,
    }
    assert write_adapter(tmp_path / "b", reordered).digest == original
    os.utime(tmp_path / "a" / WEIGHTS_FILE, (0, 0))
    write_manifest(tmp_path / "a", replace(read_manifest(tmp_path / "a"), recipe="another"))
    assert compute_digest(tmp_path / "a") == original


@given(rank=st.integers(1, 64), weights=st.binary(max_size=64))
def test_the_digest_changes_with_rank_or_weights(
    tmp_path_factory: pytest.TempPathFactory, rank: int, weights: bytes
) -> None:
    folder = tmp_path_factory.mktemp("adapter")
    original = write_adapter(folder).digest
    changed = write_adapter(folder, {**CONFIG, "r": rank}, weights).digest
    assert (changed == original) == (rank == 16 and weights == b"weights")


@pytest.mark.parametrize("name", [CONFIG_FILE, WEIGHTS_FILE, MANIFEST_FILE])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    write_adapter(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(AdapterError, match=f"{name} is missing"):
        check_adapter(tmp_path, BASE, "1")


def test_changed_weights_are_refused(tmp_path: Path) -> None:
    manifest = write_adapter(tmp_path)
    (tmp_path / WEIGHTS_FILE).write_bytes(b"weighty")
    with pytest.raises(AdapterError, match=f"manifest says {manifest.digest}"):
        check_adapter(tmp_path, BASE, "1")


def test_another_base_is_refused_and_both_are_named(tmp_path: Path) -> None:
    write_adapter(tmp_path)
    with pytest.raises(AdapterError, match="trained for microsoft/phi-1_5; the base model here is smollm2"):
        check_adapter(tmp_path, "smollm2", "1")


def test_the_same_name_with_other_weights_is_refused(tmp_path: Path) -> None:
    write_adapter(tmp_path)
    with pytest.raises(AdapterError, match="here have digest fedc"):
        check_adapter(tmp_path, BASE, "1", base_digest="fedc")


def test_another_prompt_version_is_refused(tmp_path: Path) -> None:
    write_adapter(tmp_path)
    with pytest.raises(AdapterError, match="trained for prompt version 1; this version of aftercall uses 2"):
        check_adapter(tmp_path, BASE, "2")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 2}, "has format 2"),
        ({"metrics": {"rouge1": "high"}}, "metrics.rouge1: Input should be a valid number"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_manifest_that_cannot_be_understood_is_refused(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    write_adapter(tmp_path)
    path = tmp_path / MANIFEST_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(AdapterError, match=message):
        read_manifest(tmp_path)


def test_half_a_manifest_is_refused(tmp_path: Path) -> None:
    write_adapter(tmp_path)
    path = tmp_path / MANIFEST_FILE
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(AdapterError, match="is not JSON"):
        read_manifest(tmp_path)


def test_a_manifest_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    manifest = write_adapter(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    # As on a full disk, and for root too: no file of this process may grow beyond 10 bytes.
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    try:
        with pytest.raises(AdapterError, match="cannot be written"):
            write_manifest(tmp_path, replace(manifest, recipe="another"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert read_manifest(tmp_path) == manifest


def test_publishing_needs_no_torch() -> None:
    command = "import sys, worker.adapters.manifest, worker.loading.base_model; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", command], check=False).returncode == 0
