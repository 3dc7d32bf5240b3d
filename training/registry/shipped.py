"""Finds an adapter among the registered and the shipped ones, which users name in the same way."""

from datetime import datetime
from pathlib import Path

from sqlalchemy import Engine

from adapters import list_shipped
from training.registry import registry
from training.registry.registry import AdapterState, Entry
from worker.adapters.manifest import read_manifest


def known(database: Engine) -> list[Entry]:
    """The registered adapters, newest first, then the shipped ones that are not registered."""
    registered = registry.entries(database)
    digests = {entry.digest for entry in registered}
    return registered + [entry for entry in map(_describe, list_shipped()) if entry.digest not in digests]


def find(database: Engine, digest: str) -> Entry:
    """The adapter, registered or shipped, whose digest starts with `digest`; AdapterError unless exactly one does."""
    return registry.take_one([entry for entry in known(database) if entry.digest.startswith(digest)], digest)


def _describe(folder: Path) -> Entry:
    manifest = read_manifest(folder)
    made_at = datetime.fromisoformat(manifest.created_at).timestamp()
    return Entry(manifest.digest, manifest.base_model, AdapterState.SHIPPED, folder, made_at, None)
