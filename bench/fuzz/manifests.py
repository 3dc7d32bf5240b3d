"""Adapters and base models from elsewhere: their files are sound, or refused with a sentence."""

import json
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from safetensors.numpy import save

from bench.fuzz.harness import Findings, Target
from bench.fuzz.ugly import mutate
from worker.adapters.contents import check_contents
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
from worker.loading.base_model import find_base_model

_CONFIG = json.dumps(
    {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "rank_pattern": {"q": 2}, "target_modules": ["q_proj"]}
).encode()
_WEIGHTS = save({"lora_A": np.ones((4, 8), "f4"), "lora_B": np.ones((8, 4), "f2")})
_BASE = json.dumps(
    {"model_type": "llama", "text_config": {"_attn_implementation": "sdpa"}, "num_hidden_layers": 2}
).encode()


def _manifest(digest: str) -> AdapterManifest:
    return AdapterManifest(
        digest=digest,
        base_model="base",
        base_digest=None,
        quantization="none",
        recipe="r",
        prompt_version="1",
        cleaner_version="2+r1s",
        data_digest="d",
        metrics={"rouge": 0.5},
        parents=(),
        created_at="2026-11-28T00:00:00Z",
    )


def _make(rng: Random) -> tuple[bytes, dict[str, Any]]:
    file = rng.choice((CONFIG_FILE, CONFIG_FILE, MANIFEST_FILE, WEIGHTS_FILE, "config.json"))
    sound = {CONFIG_FILE: _CONFIG, WEIGHTS_FILE: _WEIGHTS, "config.json": _BASE, MANIFEST_FILE: b""}[file]
    return mutate(rng, sound or _sound_manifest()), {"file": file}


def _sound_manifest() -> bytes:
    document = {name: getattr(_manifest("0123456789abcdef"), name) for name in AdapterManifest.__dataclass_fields__}
    return json.dumps(document).encode()


def _take(folder: Path, data: bytes, told: dict[str, Any], findings: Findings) -> None:
    if told["file"] == "config.json":
        (folder / "model.safetensors").touch()
        (folder / "config.json").write_bytes(data)
        find_base_model(str(folder), folder)
        findings.num_rows += 1
        return
    (folder / CONFIG_FILE).write_bytes(_CONFIG)
    (folder / WEIGHTS_FILE).write_bytes(_WEIGHTS)
    (folder / told["file"]).write_bytes(data)
    if told["file"] == MANIFEST_FILE:
        read_manifest(folder)
    else:
        write_manifest(folder, _manifest(compute_digest(folder)))
    check_adapter(folder, "base", "1")
    check_contents(folder)
    findings.num_rows += 1


MANIFESTS = Target("manifests", _make, _take)
