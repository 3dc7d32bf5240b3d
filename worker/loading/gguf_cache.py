"""Converts GGUF files to safetensors folders, once.

transformers dequantizes a GGUF file at every load, which takes many seconds and cannot be combined with NF4. The
converted folder loads in less than two seconds.
"""

import hashlib
import json
import logging
import shutil
from contextlib import redirect_stderr
from importlib.metadata import version
from io import StringIO
from pathlib import Path

from filelock import FileLock

from aftercall.errors import ModelError

#: File in a converted folder with the name and digest of its GGUF, so that a copied folder keeps both.
ORIGIN_FILE = "origin.json"

logger = logging.getLogger(__name__)


def convert_gguf(path: Path, name: str, cache_dir: Path) -> Path:
    """The folder under `cache_dir` with the weights of `path` in float32; the first call writes it.

    Several processes may call this at once: one converts, the others wait for it. Raises ModelError if the file cannot
    be read as a model or the folder cannot be written.
    """
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    folder = cache_dir / "models" / f"{name}-{digest}-transformers-{version('transformers')}"
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.parent / f"{folder.name}.lock"):
            if not folder.is_dir():
                _write_aside(path, folder, {"name": name, "digest": digest})
    except OSError as error:
        raise ModelError(
            f"{path} cannot be converted into {folder.parent}: {error}. Make room there (the weights in "
            "float32 take four bytes each), or set another cache folder."
        ) from error
    return folder


def _write_aside(path: Path, folder: Path, origin: dict[str, str]) -> None:
    """Convert into a temporary folder and rename it, so that a folder of the final name is always complete."""
    partial = folder.parent / f"{folder.name}.partial"
    # A killed process may have left one. We hold the lock, so no other process is writing there.
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    logger.info("converting %s; this happens once and takes some 15 s for 135 million parameters", path.name)
    _convert(path, partial)
    (partial / ORIGIN_FILE).write_text(json.dumps(origin) + "\n")
    partial.rename(folder)


def _convert(path: Path, folder: Path) -> None:
    import torch
    from safetensors.torch import save_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    where = {"pretrained_model_name_or_path": str(path.parent), "gguf_file": path.name}
    try:
        AutoTokenizer.from_pretrained(**where).save_pretrained(folder)
        # The progress bar of the GGUF reader cannot be turned off.
        with redirect_stderr(StringIO()):
            model = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
    except (ImportError, ValueError, KeyError) as error:
        raise ModelError(
            f"{path} cannot be read as a GGUF model: {error}. Needed: the package gguf (`pip install "
            "'aftercall[embedded]'`) and an architecture that transformers reads from GGUF, such as Llama."
        ) from error
    # Newer transformers count GGUF as a quantization and refuse to save one; these weights are dequantized.
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.config.save_pretrained(folder)
    model.generation_config.save_pretrained(folder)
    save_model(model, str(folder / "model.safetensors"), metadata={"format": "pt"})
