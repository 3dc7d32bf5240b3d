"""How a source was read: the layout, what was dropped, the order, how sides were decided, and what looks wrong.

Counts only. It is printed by `submit` and `inspect`, and kept with the submission.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from aftercall.conversation import Turn

#: Sides that are listed in what is kept with a submission.
_MAX_KEPT = 20
#: More than this share of one-sided conversations is a warning.
_MAX_ONE_SIDED = 0.2
#: With fewer conversations, what all of them have in common says little.
_MIN_CONVERSATIONS = 3
_SINGULAR = {
    "notes": "note",
    "events": "event",
    "empty entries": "empty entry",
    "automatic replies": "automatic reply",
    "repeated rows": "repeated row",
    "quotes and signatures": "quote or signature",
}


@dataclass(frozen=True, slots=True)
class SideLine:
    """One speaker's name or role, and how it was decided on whose side it is."""

    label: str
    num_conversations: int
    side: str
    why: str


@dataclass(slots=True)
class Account:
    """Filled while a source is read."""

    layout: str = ""
    why: str = ""
    num_conversations: int = 0
    #: Turns, before neighbours of one speaker are joined.
    num_turns: int = 0
    #: What was dropped, by kind: notes, events, duplicates, automatic replies, quotes.
    dropped: Counter[str] = field(default_factory=Counter)
    #: In how many conversations the turns were put in which order.
    orders: Counter[str] = field(default_factory=Counter)
    #: Turns of each side.
    speakers: Counter[str] = field(default_factory=Counter)
    num_one_sided: int = 0
    num_single_turn: int = 0
    num_out_of_order: int = 0
    sides: list[SideLine] = field(default_factory=list)
    #: Patterns of --agents and --customers that name nobody.
    unused: list[str] = field(default_factory=list)
    #: Files in the source that are not read, with the reason.
    passed_over: list[tuple[str, str]] = field(default_factory=list)

    def begin(self, layout: str, why: str) -> None:
        """Forget what an earlier pass counted."""
        self.replace(Account(layout, why))

    def count(self, turns: Sequence[Turn]) -> None:
        """A conversation as it will be submitted."""
        num_turns = len(turns)
        num_users = [turn.speaker for turn in turns].count("user")
        self.num_conversations += 1
        self.num_turns += num_turns
        self.speakers["user"] += num_users
        self.speakers["agent"] += num_turns - num_users
        self.num_one_sided += num_users in (0, num_turns)
        self.num_single_turn += num_turns == 1

    def replace(self, other: "Account") -> None:
        """Take over what another process counted."""
        for name in self.__slots__:
            setattr(self, name, getattr(other, name))

    @property
    def dropped_in_words(self) -> str:
        """What was dropped: `1 note, 3 events`."""
        return ", ".join(
            f"{num:,} {_SINGULAR.get(what, what) if num == 1 else what}" for what, num in self.dropped.items()
        )

    @property
    def passed_over_in_words(self) -> list[str]:
        """A sentence for each file that is not read."""
        reasons = [(name, reason.removeprefix(f"{name}: ").split("\n")[0]) for name, reason in self.passed_over]
        return [f"{name}: {reason.removesuffix(' Known are')}" for name, reason in reasons]

    @property
    def warnings(self) -> list[str]:
        """What looks wrong, a sentence each."""
        found = []
        if self.unused:
            found.append(f"nobody in the source is called {', '.join(map(repr, self.unused))}; look at the names.")
        if self.num_out_of_order:
            found.append(
                f"{self.num_out_of_order:,} conversations have times that cannot all be read or contradict their "
                "order; their turns stand as in the file."
            )
        if self.num_conversations < _MIN_CONVERSATIONS:
            return found
        if len(sides := [side for side in self.speakers if self.speakers[side]]) == 1:
            found.append(
                f"every turn is the {_called(sides[0])}'s. Say who the agents are: --agents PATTERN, or which column "
                "holds the speaker: --map speaker=COLUMN"
            )
        elif self.num_one_sided > _MAX_ONE_SIDED * self.num_conversations:
            found.append(
                f"{self.num_one_sided:,} of {self.num_conversations:,} conversations have one side only. Is the "
                "export whole, and does the id say which turns belong together?"
            )
        if self.num_single_turn == self.num_conversations:
            found.append(
                "every conversation is one turn long. Name the column that says which rows are one conversation: "
                "--map id=COLUMN"
            )
        return found

    def to_json(self) -> str:
        """What is kept with a submission."""
        kept: dict[str, Any] = {
            "layout": self.layout,
            "why": self.why,
            "dropped": dict(self.dropped),
            "order": dict(self.orders),
            "turns": {side: num for side, num in self.speakers.items() if num},
            "sides": [
                [line.label[:80], line.num_conversations, line.side, line.why] for line in self.sides[:_MAX_KEPT]
            ],
            "warnings": self.warnings,
        }
        return json.dumps({key: value for key, value in kept.items() if value}, ensure_ascii=False)


def _called(side: str) -> str:
    return "customer" if side == "user" else "agent"
