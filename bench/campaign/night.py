"""What the campaign submits: exports that overlap, with poison in them, and what has to become of each conversation.

Conversations are told apart by their id, which stands in their first turn and so in the scripted engine's summary.
"""

import random
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from aftercall.models import JobState
from tests.fixtures.workers import conversation_text, expected_summaries, write_source

NUM_EXPORTS = 6

#: How many of a thousand conversations fail, and how many hold nothing to summarize.
NUM_OF_A_THOUSAND = {"POISON": 4, "SHORT": 5}

#: What takes the worker along, each in its way. A seed has one of them for every two thousand conversations.
DEADLY = ("BREAK", "KILL")


@dataclass(frozen=True, slots=True)
class Export:
    """A file of conversations."""

    path: Path
    external_ids: tuple[str, ...]


def write_exports(folder: Path, num_conversations: int, draw: random.Random) -> list[Export]:
    """The night in pieces; each repeats a fifth of the one before."""
    names = _names(num_conversations, draw.choice(DEADLY))
    draw.shuffle(names)
    # What takes workers along is longest on its way: it is to begin with the first faults.
    names.sort(key=lambda name: not name.startswith(DEADLY))
    size = ceil(num_conversations / NUM_EXPORTS)
    pieces = [names[start : start + size] for start in range(0, num_conversations, size)]
    repeated = [[], *(draw.sample(piece, len(piece) // 5) for piece in pieces)]
    return [
        write_export(folder / f"export-{number}.csv", before + piece)
        for number, (before, piece) in enumerate(zip(repeated, pieces, strict=False))
    ]


def write_export(path: Path, external_ids: list[str]) -> Export:
    """A file of these conversations."""
    return Export(write_source(path, external_ids, _text), tuple(external_ids))


def expected_state(external_id: str) -> JobState:
    """Where a conversation has to rest."""
    kind = external_id.partition("-")[0]
    if kind == "SHORT":
        return JobState.INSUFFICIENT
    return JobState.FAILED if kind in (*DEADLY, "POISON") else JobState.DONE


def expected_summary(external_id: str) -> str | None:
    """What its one summary has to be; None if it must have none."""
    if expected_state(external_id) != JobState.DONE:
        return None
    return expected_summaries([external_id])[external_id]


def _names(num_conversations: int, deadly: str) -> list[str]:
    special = [
        f"{kind}-{number}"
        for kind, num in {**NUM_OF_A_THOUSAND, deadly: 0.5}.items()
        for number in range(int(num * num_conversations / 1_000))
    ]
    return special + [f"C-{number:05d}" for number in range(num_conversations - len(special))]


def _text(external_id: str) -> str:
    if external_id.startswith("SHORT"):
        return f"Customer: {external_id}\nAgent: yes\n"
    return conversation_text(external_id)
