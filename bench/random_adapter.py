"""Adapters with random weights: as large as trained ones, and swapped at the same cost. Knows a base model's files."""

import json
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from aftercall.profile import TWEETSUMM
from producer.clean import CLEANER_VERSION
from worker.adapters.manifest import CONFIG_FILE, WEIGHTS_FILE, AdapterManifest, compute_digest, write_manifest
from worker.loading.base_model import BaseModel

#: The linear layers of attention in Llama, Phi and their relatives.
ATTENTION = frozenset({"q_proj", "k_proj", "v_proj", "o_proj", "dense"})


def make_adapter(
    parent: Path, base: BaseModel, seed: int, rank: int = 16, targets: Collection[str] = ATTENTION, size: float = 0.05
) -> Path:
    """Write an adapter for `base` into a folder of `parent` named by its digest, its weights about `size`."""
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, (num_out, num_in) in _layers(base, targets):
        for side, shape in (("A", (rank, num_in)), ("B", (num_out, rank))):
            draw = torch.randn(shape, generator=generator) * size
            weights[f"base_model.model.{name}.lora_{side}.weight"] = draw.to(torch.bfloat16)
    aside = parent / f"{seed}.partial"
    aside.mkdir(parents=True)
    save_file(weights, aside / WEIGHTS_FILE, metadata={"format": "pt"})
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": rank,
        "lora_alpha": rank,
        "target_modules": [*targets],
    }
    (aside / CONFIG_FILE).write_text(json.dumps(config | {"inference_mode": True}))
    digest = compute_digest(aside)
    write_manifest(aside, _manifest(base, digest))
    return aside.rename(parent / digest)


def _layers(base: BaseModel, targets: Collection[str]) -> Iterator[tuple[str, list[int]]]:
    for path in sorted(base.folder.glob("*.safetensors")):
        with safe_open(path, "pt") as tensors:
            for key in sorted(tensors.keys()):
                name, _, kind = key.rpartition(".")
                if kind == "weight" and name.rpartition(".")[2] in targets:
                    yield name, tensors.get_slice(key).get_shape()


def _manifest(base: BaseModel, digest: str) -> AdapterManifest:
    return AdapterManifest(
        digest=digest,
        base_model=base.name,
        base_digest=base.digest,
        quantization="none",
        recipe="random",
        prompt_version=TWEETSUMM.id,
        cleaner_version=CLEANER_VERSION,
        data_digest="",
        metrics={},
        parents=(),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
