"""An adapter: LoRA weights as peft writes them, with a manifest that says what they were made for.

A folder of `adapter_config.json`, `adapter_model.safetensors` and `manifest.json`, named by the digest of the first
two. Imports no torch, so that commands that only publish or list adapters start quickly.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from aftercall.errors import AdapterError
from aftercall.files import write_whole
from aftercall.masking import printable
from aftercall.profile import TWEETSUMM, Profile, find_shipped, load_profile

FORMAT_VERSION = 1

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"
MANIFEST_FILE = "manifest.json"

#: Characters of a key that an error quotes; whoever wrote the file chose it.
_MAX_QUOTED = 80

#: peft stores the path of the base model on the training machine. Nothing here reads it.
_IGNORED_CONFIG_KEYS = frozenset({"base_model_name_or_path"})


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterManifest:
    """What an adapter was made for, and from what."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    format_version: int = FORMAT_VERSION
    #: `compute_digest` of the folder.
    digest: str
    #: Name of the base model, as `worker.loading.base_model` gives it: a hub id, a folder's name, never a path.
    base_model: str
    #: Digest of the base model's files, if they were available.
    base_digest: str | None
    #: How the base was stored in training: nf4, int8 or none.
    quantization: str
    recipe: str
    #: Id of the profile that it was trained for; `1` is tweetsumm-1.
    prompt_version: str
    cleaner_version: str
    data_digest: str
    metrics: Mapping[str, float]
    #: Digests of the adapters this one was trained on from, oldest first.
    parents: tuple[str, ...]
    #: ISO 8601, UTC.
    created_at: str
    library_versions: Mapping[str, str] = field(default_factory=dict)


_SCHEMA: TypeAdapter[AdapterManifest] = TypeAdapter(AdapterManifest)


def compute_digest(folder: Path) -> str:
    """16 hex digits that identify the adapter's content, independent of manifest, file times and key order."""
    digest = hashlib.sha256(_canonical_config(_existing(folder, CONFIG_FILE)))
    with _existing(folder, WEIGHTS_FILE).open("rb") as weights:
        digest.update(hashlib.file_digest(weights, "sha256").digest())
    return digest.hexdigest()[:16]


def read_manifest(folder: Path) -> AdapterManifest:
    """The manifest of the adapter in `folder`; AdapterError if it is missing, broken or of a newer format."""
    path = _existing(folder, MANIFEST_FILE)
    document = _read_json(path)
    version = document.get("format_version")
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise AdapterError(
            f"{path} has format {version}; this version of aftercall reads up to format {FORMAT_VERSION}. "
            "Upgrade aftercall, or use an adapter made for this version."
        )
    try:
        return _SCHEMA.validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        name = printable(".".join(str(part) for part in first["loc"])[:_MAX_QUOTED])
        raise AdapterError(
            f"{path} is not an adapter's manifest: {name}: {printable(first['msg'])}. Publish the adapter again, or "
            "restore the file."
        ) from error


def write_manifest(folder: Path, manifest: AdapterManifest) -> None:
    """Write the manifest, whole or not at all. Raises AdapterError if it can't be written."""
    try:
        write_whole(folder / MANIFEST_FILE, _SCHEMA.dump_json(manifest, indent=2) + b"\n")
    except OSError as error:
        raise AdapterError(
            f"The manifest of {folder} cannot be written: {error.strerror}. Make room or fix the rights, "
            "then try again."
        ) from error


def check_adapter(
    folder: Path, base_model: str, prompt_version: str | None, *, base_digest: str | None = None
) -> AdapterManifest:
    """The manifest of a complete adapter that fits this base model and profile; raises AdapterError otherwise.

    The names of the base models are always compared, their digests only if both are known. `prompt_version` is a
    profile's id; with None, an adapter for any profile passes.
    """
    manifest = read_manifest(folder)
    digest = compute_digest(folder)
    if digest != manifest.digest:
        raise AdapterError(
            f"The files in {folder} have digest {digest}, its manifest says {manifest.digest}: they were "
            "changed after publishing, or copied in part. Copy the folder again, or publish the adapter "
            "again."
        )
    _check_base(folder, manifest, base_model, base_digest)
    if prompt_version not in (None, manifest.prompt_version):
        raise AdapterError(
            f"The adapter in {folder} was trained for profile {manifest.prompt_version}, and the model is asked by "
            f"{prompt_version}. Set AFTERCALL_PROFILE to the profile that it was trained for, or AFTERCALL_ADAPTER to "
            f"an adapter for {prompt_version} (`none`: the base model alone)."
        )
    return manifest


def choose_profile(setting: str, folder: Path | None) -> Profile:
    """How a model is asked: as the setting says, or with `auto` as the adapter in `folder` was trained to be asked.

    A base model alone is asked by `tweetsumm-1`. Raises AdapterError if the adapter's profile does not ship,
    SettingsError if there is no profile of the name that is set.
    """
    if setting != "auto":
        return load_profile(setting)
    if folder is None:
        return TWEETSUMM
    prompt_version = read_manifest(folder).prompt_version
    profile = find_shipped(prompt_version)
    if profile is None:
        raise AdapterError(
            f"The adapter in {folder} was trained for profile {prompt_version}, which does not ship with this version "
            "of aftercall. Set AFTERCALL_PROFILE to the TOML file of that profile."
        )
    return profile


def _check_base(folder: Path, manifest: AdapterManifest, base_model: str, base_digest: str | None) -> None:
    if not _is_same_name(manifest.base_model, base_model):
        raise AdapterError(
            f"The adapter in {folder} was trained for {manifest.base_model}; the base model here is "
            f"{base_model}. Change one of the two settings so that they belong together."
        )
    if manifest.base_digest and base_digest and manifest.base_digest != base_digest:
        raise AdapterError(
            f"The adapter in {folder} was trained for {manifest.base_model} with digest "
            f"{manifest.base_digest}; the files of {base_model} here have digest {base_digest}. Use the "
            "base model it was trained on, or train again."
        )


def _is_same_name(trained: str, served: str) -> bool:
    """Whether the names are equal; the owner is ignored if one side lacks it: `microsoft/phi-1_5`, `phi-1_5`."""
    if "/" in trained and "/" in served:
        return trained == served
    return trained.rpartition("/")[2] == served.rpartition("/")[2]


def _canonical_config(path: Path) -> bytes:
    """The configuration with sorted keys and sorted lists of names, which peft saves from sets in any order."""
    config = {
        key: sorted(value) if _is_list_of_names(value) else value
        for key, value in _read_json(path).items()
        if key not in _IGNORED_CONFIG_KEYS
    }
    return json.dumps(config, sort_keys=True, separators=(",", ":")).encode()


def _is_list_of_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise AdapterError(f"{path} is not JSON ({error}). Copy the adapter's folder again.") from error
    if not isinstance(document, dict):
        raise AdapterError(f"{path} does not hold a JSON object. Copy the adapter's folder again.")
    return document


def _existing(folder: Path, name: str) -> Path:
    path = folder / name
    if path.is_file():
        return path
    raise AdapterError(
        f"{folder} is not an adapter: {name} is missing. An adapter's folder holds {CONFIG_FILE}, "
        f"{WEIGHTS_FILE} and {MANIFEST_FILE}, as `aftercall train` writes them."
    )
