"""Where judgements are kept: those of each adapter under the data folder, by its digest.

An adapter may lie where this user cannot write, in an installed package for one. What `aftercall evaluate` keeps here
goes before what came with the adapter. Knows folders; it knows no figures.
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
        """Keep the judgement of the adapter in a folder, in place of an earlier one."""
        save_judgement(self._place(adapter) / EVALUATION_FILE, judgement, extra)

    def keep_base(self, adapter: Path, judgement: Judgement) -> None:
        """Keep the judgement of the base model alone, held as it is under that adapter."""
        save_judgement(self._place(adapter) / BASE_EVALUATION_FILE, judgement, {})

    def find(self, adapter: Path) -> Judgement:
        """The judgement kept here, else the one that came with the adapter; AdapterError if it has none."""
        return load_judgement(self._find_file(adapter, EVALUATION_FILE))

    def find_base(self, adapter: Path) -> Judgement | None:
        """As `find`, of the base model alone; None if it was not judged beside that adapter."""
        path = self._find_file(adapter, BASE_EVALUATION_FILE)
        return load_judgement(path) if path.exists() else None

    def find_comparable(self, adapter: Path, judgement: Judgement) -> Judgement | None:
        """The judgement of another adapter, where it has one of the same conversations, written in the same way."""
        try:
            kept = self.find(adapter)
        # It is only shown beside: what was trained for hours must not end because of it.
        except (AdapterError, OSError):
            return None
        return kept if kept.is_comparable(judgement) else None

    def _find_file(self, adapter: Path, name: str) -> Path:
        kept = self._place(adapter) / name
        return kept if kept.is_file() else adapter / name

    def _place(self, adapter: Path) -> Path:
        return self.folder / read_manifest(adapter).digest
