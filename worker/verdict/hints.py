"""Weak hints of a fault, for the risk alone: none is a reason by itself."""

import re
from collections.abc import Sequence

from worker.verdict.alignment import Aligned, Conversation
from worker.verdict.lexicon import NEGATIONS

_AGENT, _CUSTOMER = r"(?:agent|company|advis[eo]r|representative)", r"(?:customer|caller|user|client)"
_ASIDE = r"(?:,? (?:then|also|first|later|has|had|only|again|at first))?"
#: What the other side does in nearly every conversation.
_ODD = re.compile(
    rf"\b{_CUSTOMER}{_ASIDE} (?:refunded|credited|booked|arranged|apologi[sz]ed|escalated|offered|promised|explained"
    r"|issued|waived|checked|traced|confirmed|advised|suggested|raised|opened|replaced|reissued|rebooked|resent)\b"
    rf"|\b{_AGENT}{_ASIDE} (?:want(?:s|ed)|complain(?:s|ed)|reported|disputed|requested|objected|lost|bought|returned"
    r"|believed|thought|tweeted|praised|could not log|received|accepted|had been|was charged|needs|needed)\b",
    re.IGNORECASE,
)
_AGENT_FIRST = re.compile(rf"^[^,.]{{0,30}}\b{_AGENT}\b", re.IGNORECASE)
_CUSTOMER_FIRST = re.compile(rf"^[^,.]{{0,30}}\b{_CUSTOMER}\b", re.IGNORECASE)


def find_hints(aligned: Sequence[Aligned], conversation: Conversation) -> dict[str, float]:
    """Signals by name, each 0 where nothing is wrong."""
    return {
        "odd_actor": float(min(2, sum(len(_ODD.findall(each.part.text)) for each in aligned))),
        "actor_lean": max((_lean(each) for each in aligned), default=0.0),
        "unheard_denial": float(sum(_is_denial_unheard(each, conversation) for each in aligned)),
        "loose_number": max((_loosest_number(each, conversation) for each in aligned), default=0.0),
    }


def _lean(aligned: Aligned) -> float:
    """By how much more the other side's words support a sentence than those of its subject."""
    if _CUSTOMER_FIRST.search(aligned.part.text):
        return max(0.0, aligned.agent_share - aligned.user_share)
    if _AGENT_FIRST.search(aligned.part.text):
        return max(0.0, aligned.user_share - aligned.agent_share)
    return 0.0


def _is_denial_unheard(aligned: Aligned, conversation: Conversation) -> bool:
    """Whether a sentence denies something and no turn that supports it does."""
    if not aligned.turns or NEGATIONS.isdisjoint(aligned.part.words):
        return False
    return all(NEGATIONS.isdisjoint(conversation.parts[turn].words) for turn in aligned.turns)


def _loosest_number(aligned: Aligned, conversation: Conversation) -> float:
    """1 less the share of a sentence's words in the turns around one of its numbers; of the number with the least."""
    words = frozenset(key for key in aligned.part.keys if key[0] != "#")
    total = conversation.weigh(words)
    loosest = 0.0
    for number in (key for key in aligned.part.keys if key[0] == "#"):
        shares = [
            conversation.weigh(words & (part.keys | conversation.parts[max(0, index - 1)].keys)) / total
            for index, part in enumerate(conversation.parts)
            if number in part.keys and total
        ]
        loosest = max(loosest, 1.0 - max(shares, default=1.0))
    return loosest
