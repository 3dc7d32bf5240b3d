"""The adapters that ship: one folder each, named by its digest."""

import json
from pathlib import Path


def list_shipped() -> list[Path]:
    """The folders of all that ship."""
    return [path.parent for path in sorted(Path(__file__).parent.glob("*/manifest.json"))]


def find_shipped(base_model: str) -> Path | None:
    """The folder of the adapter that ships for a base model; None if there is none."""
    for folder in list_shipped():
        if json.loads((folder / "manifest.json").read_bytes())["base_model"] == base_model:
            return folder
    return None
