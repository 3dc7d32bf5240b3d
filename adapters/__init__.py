"""The adapters that ship: one folder each, named by its digest."""

import json
from pathlib import Path


def find_shipped(base_model: str) -> Path | None:
    """The folder of the adapter that ships for a base model; None if there is none."""
    for path in sorted(Path(__file__).parent.glob("*/manifest.json")):
        if json.loads(path.read_bytes())["base_model"] == base_model:
            return path.parent
    return None
