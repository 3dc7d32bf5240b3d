"""Publishes a trained adapter as a folder named by its digest, atomically."""

import json
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from aftercall.errors import AdapterError
from aftercall.profile import TWEETSUMM
from aftercall.redaction import Mode
from producer.preparing import prepared_version
from training.files import filling_artifact, write_artifact
from worker.adapters.manifest import (
    CONFIG_FILE,
    WEIGHTS_FILE,
    AdapterManifest,
    compute_digest,
    write_manifest,
)

#: Called with the folder before it is renamed into place, and with its manifest.
Finish = Callable[[Path, AdapterManifest], None]

_LIBRARIES = ("torch", "transformers", "peft", "trl", "accelerate", "bitsandbytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What an adapter was made from; goes into its manifest."""

    base_model: str
    base_digest: str | None
    quantization: str
    recipe: str
    data_digest: str
    metrics: Mapping[str, float]
    #: Id of the profile it was trained for.
    prompt_version: str = TWEETSUMM.id
    #: Digests of the adapters whose training it continues, oldest first.
    parents: tuple[str, ...] = ()
    #: How its conversations were redacted.
    redact: Mode = "off"


def save_weights(model: Any, folder: Path, base_model: str) -> None:
    """Write a peft model's adapter: its weights in bfloat16, and a configuration without local paths."""
    import torch
    from peft import get_peft_model_state_dict
    from safetensors.torch import save

    weights = {
        name: tensor.detach().to("cpu", torch.bfloat16).contiguous()
        for name, tensor in get_peft_model_state_dict(model, save_embedding_layers=False).items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_artifact(folder / WEIGHTS_FILE, save(weights, metadata={"format": "pt"}))
    config = model.peft_config["default"].to_dict()
    names = {key: sorted(value) for key, value in config.items() if isinstance(value, set)}
    config |= {**names, "base_model_name_or_path": base_model, "inference_mode": True}
    write_artifact(folder / CONFIG_FILE, (json.dumps(config, indent=2, sort_keys=True, default=str) + "\n").encode())


def publish(saved: Path, parent: Path, origin: Origin, finish: Finish | None = None) -> Path:
    """Copy the adapter in `saved` (configuration, weights) to `parent`/DIGEST with its manifest; returns that folder.

    Publishing the same adapter again changes nothing.

    Args:
        finish: writes further files into the folder before it is renamed into place.

    Raises AdapterError if it cannot be written, or if `saved` changes meanwhile.
    """
    manifest = describe(saved, origin)
    target = parent / manifest.digest
    if target.exists():
        return target
    with filling_artifact(parent) as aside:
        for name in (CONFIG_FILE, WEIGHTS_FILE):
            (aside / name).write_bytes((saved / name).read_bytes())
        write_manifest(aside, manifest)
        if finish:
            finish(aside, manifest)
        if compute_digest(aside) != manifest.digest:
            raise AdapterError(f"{saved} changed while it was being published; publish it again")
        aside.rename(target)
    return target


def describe(saved: Path, origin: Origin) -> AdapterManifest:
    """The manifest of the adapter in `saved`, made now by this version's prompt and cleaner."""
    return AdapterManifest(
        digest=compute_digest(saved),
        prompt_version=origin.prompt_version,
        cleaner_version=prepared_version(origin.redact),
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


def _library_versions() -> dict[str, str]:
    return {"python": platform.python_version()} | {name: version(name) for name in _LIBRARIES}
