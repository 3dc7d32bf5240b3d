"""A support conversation as every part sees it: turns of two speakers. Pure values, no input or output."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Speaker = Literal["user", "agent"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One speaker's uninterrupted text. Once cleaned, it has no line break in it."""

    speaker: Speaker
    text: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """One support exchange, the unit of work."""

    #: The caller's own id; it stands on the conversation's line in every export.
    external_id: str
    turns: tuple[Turn, ...]

    @property
    def text(self) -> str:
        """The conversation as the model reads it: one `speaker: text` line a turn."""
        return render_turns(self.turns)


def render_turns(turns: Iterable[Turn]) -> str:
    """One line a turn, `user: …\\nagent: …\\n`, as the recipe writes conversations."""
    return "".join(f"{turn.speaker}: {turn.text}\n" for turn in turns)


def parse_turns(text: str) -> tuple[Turn, ...]:
    """The turns of a rendered, cleaned conversation; the inverse of `render_turns`.

    Raises ValueError on a line that starts with neither `user: ` nor `agent: `.
    """
    turns = []
    for line in text.split("\n")[:-1]:
        speaker, separator, words = line.partition(": ")
        if not separator or (speaker != "user" and speaker != "agent"):
            raise ValueError(f"not a turn: {line[:80]!r}; expected 'user: …' or 'agent: …'")
        turns.append(Turn("user" if speaker == "user" else "agent", words))
    return tuple(turns)
