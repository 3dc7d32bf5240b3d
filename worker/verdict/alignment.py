"""Which turns support which sentence of a summary: by the words that they share, the rarer the weightier."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from aftercall.conversation import Turn
from worker.verdict.facts import Facts, find_facts
from worker.verdict.lexicon import STOP_STEMS
from worker.verdict.words import find_language, stem

#: Of a sentence's weight, what a turn must share to support it, and what a further turn must add.
MIN_SHARE, MIN_ADDED = 0.12, 0.12
_MAX_TURNS = 3

#: A number says more about where a sentence comes from than a word does.
_NUMBER_WEIGHT = 2.0


@dataclass(frozen=True, slots=True)
class Part:
    """A turn or a sentence: its words and facts."""

    text: str
    words: list[str]
    keys: frozenset[str]
    facts: Facts


@dataclass(frozen=True, slots=True)
class Aligned:
    """A sentence of the summary and the turns that support it."""

    part: Part
    #: Indices of the turns, the best first; empty: none does.
    turns: tuple[int, ...]
    #: Share of the sentence's weight that those turns hold, 0 to 1.
    share: float
    #: The largest share that a single turn of each speaker holds.
    user_share: float
    agent_share: float


def make_part(text: str, facts: Facts, language: str) -> Part:
    """A text with the keys by which it is compared."""
    keys = {stem(word, language) for word in facts.words if len(word) > 2} - STOP_STEMS
    keys |= {f"#{number}" for number in facts.numbers} | {f"#{code}" for code in facts.codes}
    return Part(text, facts.words, frozenset(keys), facts)


class Conversation:
    """The turns of one conversation, ready to be compared with."""

    def __init__(self, turns: Sequence[Turn]) -> None:
        self.speakers = [turn.speaker for turn in turns]
        facts = [find_facts(turn.text) for turn in turns]
        self.language = find_language([word for each in facts for word in each.words]) or "en"
        self.parts = [make_part(turn.text, each, self.language) for turn, each in zip(turns, facts, strict=True)]
        counts = Counter(key for part in self.parts for key in part.keys)
        rarities = [math.log(1 + len(turns) / max(1, count)) for count in range(len(turns) + 1)]
        self.weights = {key: _weigh(key, rarities[count]) for key, count in counts.items()}
        self.mean_weight = sum(self.weights.values()) / len(self.weights) if self.weights else 1.0

    def weigh(self, keys: frozenset[str] | set[str]) -> float:
        """The weight of keys; what no turn has weighs as much as the average."""
        weights, unheard = self.weights, self.mean_weight
        return sum([weights.get(key, unheard) for key in keys])

    def align(self, part: Part) -> Aligned:
        """The turns that support a sentence, greedily: the best one, then those that add most."""
        total = self.weigh(part.keys) or 1.0
        shares = [self.weigh(part.keys & turn.keys) / total for turn in self.parts]
        chosen: list[int] = []
        covered: set[str] = set()
        while len(chosen) < _MAX_TURNS:
            added = [self.weigh((part.keys & turn.keys) - covered) / total for turn in self.parts]
            best = max(range(len(added)), key=added.__getitem__, default=-1)
            if best < 0 or added[best] < (MIN_ADDED if chosen else MIN_SHARE):
                break
            chosen.append(best)
            covered |= part.keys & self.parts[best].keys
        by_speaker = {
            speaker: max(
                (share for share, who in zip(shares, self.speakers, strict=True) if who == speaker), default=0.0
            )
            for speaker in ("user", "agent")
        }
        return Aligned(part, tuple(chosen), self.weigh(covered) / total, by_speaker["user"], by_speaker["agent"])


def _weigh(key: str, rarity: float) -> float:
    return rarity * _NUMBER_WEIGHT if key[0] == "#" else rarity
