"""How much of a conversation's end a summary holds. A missing outcome shows in words that are not there."""

from collections.abc import Sequence
from dataclasses import dataclass

from worker.verdict.alignment import Aligned, Conversation

#: Fewer keys than this are a greeting or a thank-you, not an outcome.
_MIN_KEYS = 3
#: Share of the turns that count as the end.
_END_SHARE = 1 / 3
#: Of the end's weight, what a whole summary holds at most: it is a tenth as long.
_ROOM = 12


@dataclass(frozen=True, slots=True)
class Outcome:
    """What of the end is in the summary, each 0 to 1."""

    #: Share of the last telling agent turn's weight.
    last_agent: float
    #: Share of what the end says for the first time, of as much as a summary has room for.
    end: float
    #: Share of the numbers that the end says for the first time.
    end_numbers: float
    #: Where the latest turn that supports a sentence stands, from 0, the first, to 1, the last.
    reach: float


def measure_outcome(aligned: Sequence[Aligned], conversation: Conversation) -> Outcome:
    """What of the conversation's end an aligned summary holds."""
    parts = conversation.parts
    said = frozenset(key for each in aligned for key in each.part.keys)
    first_of_end = len(parts) - max(1, round(len(parts) * _END_SHARE))
    before = {key for part in parts[:first_of_end] for key in part.keys}
    new = {key for part in parts[first_of_end:] for key in part.keys} - before
    weights = sorted((conversation.weights.get(key, 0.0) for key in new), reverse=True)
    room = sum(weights[:_ROOM])
    numbers = {key for key in new if key[0] == "#"}
    reached = max((turn for each in aligned for turn in each.turns), default=0)
    return Outcome(
        last_agent=_share(_last_telling(conversation), said, conversation),
        end=min(1.0, conversation.weigh(new & said) / room) if room else 1.0,
        end_numbers=len(numbers & said) / len(numbers) if numbers else 1.0,
        reach=reached / (len(parts) - 1) if len(parts) > 1 else 1.0,
    )


def _last_telling(conversation: Conversation) -> frozenset[str]:
    """The keys of the last agent turn that says something."""
    for speaker, part in zip(reversed(conversation.speakers), reversed(conversation.parts), strict=True):
        if speaker == "agent" and len(part.keys) >= _MIN_KEYS:
            return part.keys
    return frozenset()


def _share(keys: frozenset[str], said: frozenset[str], conversation: Conversation) -> float:
    weights = sorted((conversation.weights.get(key, 0.0) for key in keys), reverse=True)
    room = sum(weights[:_ROOM])
    return min(1.0, conversation.weigh(keys & said) / room) if room else 1.0
