"""From a trained model to an adapter: a folder named by its digest, whole or not there.

Knows peft's files, the manifest and the card. It knows no registry and no database.
"""

import json
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from aftercall.errors import AdapterError
from aftercall.files import folder_aside, write_aside
from aftercall.profile import TWEETSUMM
from producer.clean import CLEANER_VERSION
from worker.adapters.manifest import (
    CONFIG_FILE,
    WEIGHTS_FILE,
    AdapterManifest,
    compute_digest,
    write_manifest,
)

#: Given the folder, not yet in its place, and the manifest in it.
Finish = Callable[[Path, AdapterManifest], None]

_LIBRARIES = ("torch", "transformers", "peft", "trl", "accelerate", "bitsandbytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What an adapter came from, as its manifest says it."""

    base_model: str
    base_digest: str | None
    quantization: str
    recipe: str
    data_digest: str
    metrics: Mapping[str, float]
    #: Id of the profile it was trained for.
    prompt_version: str = TWEETSUMM.id
    #: Digests of the adapters it was trained on from, oldest first.
    parents: tuple[str, ...] = ()


def save_weights(model: Any, folder: Path, base_model: str) -> None:
    """Write a peft model's adapter: its weights in bfloat16, and a configuration that names no path of this machine."""
    import torch
    from peft import get_peft_model_state_dict
    from safetensors.torch import save

    weights = {
        name: tensor.detach().to("cpu", torch.bfloat16).contiguous()
        for name, tensor in get_peft_model_state_dict(model, save_embedding_layers=False).items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_aside(folder / WEIGHTS_FILE, save(weights, metadata={"format": "pt"}))
    config = model.peft_config["default"].to_dict()
    names = {key: sorted(value) for key, value in config.items() if isinstance(value, set)}
    config |= {**names, "base_model_name_or_path": base_model, "inference_mode": True}
    write_aside(folder / CONFIG_FILE, (json.dumps(config, indent=2, sort_keys=True, default=str) + "\n").encode())


def publish(saved: Path, parent: Path, origin: Origin, finish: Finish | None = None) -> Path:
    """Copy the adapter in `saved` (configuration, weights) to `parent`/DIGEST with its manifest; returns that folder.

    The same adapter published twice is one folder.

    Args:
        finish: writes what else belongs into the folder, before anybody sees it.

    Raises AdapterError if it cannot be written, or if `saved` changes meanwhile.
    """
    digest = compute_digest(saved)
    target = parent / digest
    if target.exists():
        return target
    manifest = AdapterManifest(
        digest=digest,
        prompt_version=origin.prompt_version,
        cleaner_version=CLEANER_VERSION,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        library_versions=_library_versions(),
        base_model=origin.base_model,
        base_digest=origin.base_digest,
        quantization=origin.quantization,
        recipe=origin.recipe,
        data_digest=origin.data_digest,
        metrics=dict(origin.metrics),
        parents=origin.parents,
    )
    with folder_aside(parent) as aside:
        for name in (CONFIG_FILE, WEIGHTS_FILE):
            (aside / name).write_bytes((saved / name).read_bytes())
        write_manifest(aside, manifest)
        if finish:
            finish(aside, manifest)
        if compute_digest(aside) != digest:
            raise AdapterError(f"{saved} changed while it was published; publish it again")
        aside.rename(target)
    return target


def _library_versions() -> dict[str, str]:
    return {"python": platform.python_version()} | {name: version(name) for name in _LIBRARIES}
