"""Stores judgements under the data folder, by their adapter's digest.

They are not stored in the adapter's folder, which may be read-only, as in an installed package. A judgement stored
here by `aftercall evaluate` takes precedence over the one in the adapter's folder.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aftercall.errors import AdapterError
from training.judge.judgement import BASE_EVALUATION_FILE, EVALUATION_FILE, Judgement, load_judgement, save_judgement
from worker.adapters.manifest import read_manifest


@dataclass(frozen=True, slots=True)
class Judgements:
    """The judgements of one installation."""

    folder: Path

    def keep(self, adapter: Path, judgement: Judgement, extra: dict[str, Any]) -> None:
        """Store the judgement of the adapter in a folder, replacing an earlier one."""
        save_judgement(self._place(adapter) / EVALUATION_FILE, judgement, extra)

    def keep_base(self, adapter: Path, judgement: Judgement) -> None:
        """Store the judgement of the base model alone, stored in memory as under that adapter."""
        save_judgement(self._place(adapter) / BASE_EVALUATION_FILE, judgement, {})

    def find(self, adapter: Path) -> Judgement:
        """The judgement stored here, or else the one in the adapter's folder; AdapterError if there is neither."""
        return load_judgement(self._find_file(adapter, EVALUATION_FILE))

    def find_base(self, adapter: Path) -> Judgement | None:
        """As `find`, for the base model alone; None if it was not judged together with that adapter."""
        path = self._find_file(adapter, BASE_EVALUATION_FILE)
        return load_judgement(path) if path.exists() else None

    def find_comparable(self, adapter: Path, judgement: Judgement) -> Judgement | None:
        """An adapter's judgement, if it has one of the same conversations and settings as `judgement`; else None."""
        try:
            kept = self.find(adapter)
        # It is only shown for comparison, and must not end a run that trained for hours.
        except (AdapterError, OSError):
            return None
        return kept if kept.is_comparable(judgement) else None

    def _find_file(self, adapter: Path, name: str) -> Path:
        kept = self._place(adapter) / name
        return kept if kept.is_file() else adapter / name

    def _place(self, adapter: Path) -> Path:
        return self.folder / read_manifest(adapter).digest
