"""Finds the adapter that should be served for a base model. Imports no torch."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from adapters import find_shipped
from aftercall.ledger import adapters
from worker.adapters.manifest import read_manifest


@dataclass(frozen=True, slots=True)
class DesiredAdapter:
    """The adapter that should be served for a base model."""

    #: None: the base model alone.
    folder: Path | None
    #: Empty: the base model alone.
    digest: str


def find_desired(database: Engine, base_model: str) -> DesiredAdapter:
    """The active adapter of a base model, else the one that ships for it, else none. Costs one small query."""
    active = adapters.active(database, base_model)
    if active is not None:
        return DesiredAdapter(active.folder, active.digest)
    shipped = find_shipped(base_model)
    return DesiredAdapter(shipped, read_manifest(shipped).digest) if shipped else DesiredAdapter(None, "")
