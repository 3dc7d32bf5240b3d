"""Service labels: conversations labelled with summaries and fields, one JSON object a line, and what to train on.

    {"id": …, "turns": [{"speaker": "user", "text": …}, …], "references": [ENGLISH, ENGLISH, OWN LANGUAGE?], "issue": …,
     "action": …, "resolution": …, "reason": …, "follow_up": null or {"what": …, "by": …, "who": …}}

Other keys, such as `key_facts`, are for judging and are passed over here.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aftercall.conversation import Turn
from aftercall.errors import SourceError
from aftercall.fields import NO_AGENT, say_no_answer, write_completion
from aftercall.profile import Profile

#: So many of a row's references are in English; a further one, in the conversation's own language, is passed over.
NUM_ENGLISH = 2

_CLAUSE_END = re.compile(r"(?<=[.!?])\s+(?=[^\W_a-z])|;\s+")
_WORD = re.compile(r"\w+")
#: Shorter ones say little about what a clause is about.
_MIN_WORD_LENGTH = 4


@dataclass(frozen=True, slots=True)
class Labels:
    """What a person entered in the fields of one conversation."""

    issue: str
    #: Empty: nothing was done.
    action: str
    #: A line of text; empty: nothing is to follow.
    follow_up: str
    resolution: str
    reason: str


@dataclass(frozen=True, slots=True)
class Target:
    """A completion to train on."""

    text: str
    #: Whether the model should end there; otherwise it goes on in a way that nobody labelled.
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """One row as it was read, its text not cleaned yet."""

    name: str
    turns: tuple[Turn, ...]
    references: tuple[str, ...]
    labels: Labels


def is_service_row(row: Any) -> bool:
    """Whether a JSON value has the keys that tell this format from others."""
    return isinstance(row, dict) and {"turns", "references", "resolution"} <= row.keys()


def read_service_row(row: Mapping[str, Any]) -> ServiceRow:
    """Raises SourceError if a key is missing or has a value of another kind."""
    try:
        turns = tuple(_turn(turn) for turn in row["turns"])
        references = tuple(map(str.strip, row["references"]))
        issue, action = _words(row["issue"]), _words(row["action"] or "")
        labels = Labels(
            issue=issue,
            action=action,
            follow_up=_write_follow_up(row["follow_up"], f"{issue} {action}") if row["follow_up"] else "",
            resolution=_words(row["resolution"]),
            reason=_words(row["reason"]),
        )
        return ServiceRow(str(row["id"]), turns, references[:NUM_ENGLISH], labels)
    except (KeyError, TypeError, ValueError) as error:
        raise SourceError(
            f"not a service row ({error!r}); expected id, turns, references, issue, action, resolution, "
            "reason and follow_up"
        ) from error


def make_targets(references: Sequence[str], labels: Labels | None, profile: Profile) -> list[Target]:
    """What a model of this profile should write for a conversation, each way once.

    Without fields, the references. With fields, the lines made of the fields and those made of each reference. A
    conversation without labels teaches the lines and that labels follow, not which.
    """
    if not profile.fields:
        return [Target(reference) for reference in references]
    if labels is None:
        return [Target("\n".join([*_two_lines(reference), "="]), is_whole=False) for reference in references]
    lines = [lines_of_labels(labels), *(lines_of_reference(reference, labels) for reference in references)]
    texts = [write_completion(each, labels.reason, labels.resolution) for each in lines if each]
    return [Target(text) for text in dict.fromkeys(texts)]


def lines_of_labels(labels: Labels) -> list[str]:
    """Issue, action and what follows, as the fields have them."""
    if labels.resolution == "no_answer":
        return [labels.issue, NO_AGENT]
    return [labels.issue, labels.action, labels.follow_up]


def lines_of_reference(reference: str, labels: Labels) -> list[str] | None:
    """A reference cut into lines, each clause where its words are; None if it says too little for the fields.

    Clauses keep their order. Of all ways to cut them, the one is taken whose lines share most words with the fields.
    """
    clauses = [_as_sentence(clause) for clause in _CLAUSE_END.split(reference) if clause.strip()]
    if labels.resolution == "no_answer":
        said = say_no_answer(" ".join(clauses))
        return [said.removesuffix(NO_AGENT).strip(), NO_AGENT] if said != NO_AGENT else None
    num_lines = 3 if labels.resolution == "follow_up" else 2 if labels.action else 1
    if len(clauses) < num_lines:
        return None
    wanted = [_keys(labels.issue), _keys(labels.action), _keys(labels.follow_up)]
    ways = [
        [clauses[:first], clauses[first:second], clauses[second:]]
        for first in range(1, len(clauses) + 1)
        for second in range(first, len(clauses) + 1)
        if (second > first) == bool(labels.action) and (second < len(clauses)) >= (num_lines == 3)
    ]
    best = max(ways, key=lambda way: sum(_share(line, keys) for line, keys in zip(way, wanted, strict=True)))
    return [" ".join(line) for line in best]


def _two_lines(reference: str) -> list[str]:
    first, _, rest = reference.partition(". ")
    return [f"{first}.", rest] if rest else [reference]


def _share(line: Sequence[str], keys: frozenset[str]) -> float:
    found = _keys(" ".join(line))
    return len(found & keys) / max(1, len(found | keys))


def _keys(text: str) -> frozenset[str]:
    """Words by their first letters, so that `refund` and `refunded` are one; numbers whole."""
    words = _WORD.findall(text.casefold())
    return frozenset(word[:5] for word in words if len(word) >= _MIN_WORD_LENGTH or word.isdigit())


def _as_sentence(clause: str) -> str:
    clause = clause.strip()
    ended = clause if clause.endswith((".", "!", "?", "…")) else f"{clause}."
    return ended[0].upper() + ended[1:]


def _write_follow_up(follow_up: Mapping[str, Any], names: str) -> str:
    what, by = _words(follow_up["what"]).rstrip("."), _words(follow_up.get("by") or "").rstrip(".")
    who = _words(follow_up["who"]).replace("_", " ")
    is_name = what.partition(" ")[0] in names
    return f"Next: {what if is_name else what[0].lower() + what[1:]}{f', {by}' if by else ''} ({who})."


def _turn(turn: Mapping[str, Any]) -> Turn:
    if turn["speaker"] not in ("user", "agent"):
        raise ValueError(f"speaker {turn['speaker']!r}")
    return Turn(turn["speaker"], _words(turn["text"]))


def _words(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value
