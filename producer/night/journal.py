"""Which submissions belong to the night in progress: a killed night goes on as the same one.

A small file in the outbox. It is removed when the night is over.
"""

import json
from pathlib import Path

from aftercall.files import writing_whole

JOURNAL_NAME = ".aftercall-night.json"


class Journal:
    """File names and their submissions. Every change is on disk before the next step."""

    def __init__(self, outbox: Path) -> None:
        self._path = outbox / JOURNAL_NAME
        self.submissions: dict[str, int] = self._read()

    def add(self, name: str, submission_id: int) -> None:
        """A file of the inbox has been submitted."""
        self._write(self.submissions | {name: submission_id})

    def keep(self, submission_ids: set[int]) -> None:
        """Forget the others: they have ended. Without any the night is over."""
        kept = {name: number for name, number in self.submissions.items() if number in submission_ids}
        if kept:
            self._write(kept)
        else:
            self.submissions = {}
            self._path.unlink(missing_ok=True)

    def _read(self) -> dict[str, int]:
        try:
            return {str(name): int(number) for name, number in json.loads(self._path.read_text("utf-8")).items()}
        except (FileNotFoundError, ValueError, AttributeError):
            # A damaged journal costs nothing but the earlier files in the report: submitting again adds nothing.
            return {}

    def _write(self, submissions: dict[str, int]) -> None:
        with writing_whole(self._path) as file:
            json.dump(submissions, file)
        self.submissions = submissions
