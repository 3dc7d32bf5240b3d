"""Faults made on purpose: a reference, spoilt in one way that a careless model would, to fit and test the risk with.

What each one spoils is a fault that people found in summaries by models. Corruptions depend on the conversation alone.
"""

import re
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from aftercall.fields import split_sentences

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_AUXILIARY = re.compile(r"\b(was|were|is|are|will|would|can|could|had|has|have)\b(?! not\b)")
_NEGATED = re.compile(r"\b(was|were|is|are|will|would|can|could|had|has|have) not\b")
_AGENT = re.compile(r"\b[Tt]he (?:agent|company)\b")
_CUSTOMER = re.compile(r"\b[Tt]he (?:customer|caller)\b")

Row = Mapping[str, Any]


def corrupt(row: Row, reference: str) -> list[tuple[str, str]]:
    """Every fault that can be made of a reference of this row, as (kind, summary)."""
    random = Random(f"{row['id']} {reference}")
    made = [(kind, make(row, reference, random)) for kind, make in _KINDS.items()]
    return [(kind, summary) for kind, summary in made if summary and summary != reference]


def _other_number(row: Row, reference: str, random: Random) -> str:
    """Another number in the place of one; half of the time one that the conversation holds elsewhere."""
    found = list(_NUMBER.finditer(reference))
    if not found:
        return ""
    chosen = random.choice(found)
    spoken = " ".join(turn["text"] for turn in row["turns"])
    others = [number for number in _NUMBER.findall(spoken) if number not in reference]
    if others and random.random() < 0.5:
        other = str(random.choice(others))
    else:
        other = str(int(re.sub(r"\D", "", chosen[0])) + random.choice((1, 2, 10)))
    return f"{reference[: chosen.start()]}{other}{reference[chosen.end() :]}"


def _swapped_actor(row: Row, reference: str, random: Random) -> str:
    if not (_AGENT.search(reference) or _CUSTOMER.search(reference)):
        text = f"{row['issue']} {row['action']}"
        return _swap(text) if _AGENT.search(text) else ""
    return _swap(reference)


def _swap(text: str) -> str:
    marked = _AGENT.sub("\0", text)
    return _CUSTOMER.sub("The agent", marked).replace("\0", "The customer")


def _flipped_negation(row: Row, reference: str, random: Random) -> str:
    negated = list(_NEGATED.finditer(reference))
    if negated:
        chosen = random.choice(negated)
        return reference[: chosen.start()] + chosen[1] + reference[chosen.end() :]
    plain = list(_AUXILIARY.finditer(reference))
    if not plain:
        return ""
    chosen = random.choice(plain)
    return f"{reference[: chosen.end()]} not{reference[chosen.end() :]}"


def _dropped_outcome(row: Row, reference: str, random: Random) -> str:
    sentences = split_sentences(reference)
    return " ".join(sentences[:-1]) if len(sentences) > 1 and row["action"] else ""


def _false_claim(row: Row, reference: str, random: Random) -> str:
    claim = str(random.choice(row["false_claims"])["claim"]) if row["false_claims"] else ""
    return f"{split_sentences(reference)[0]} {claim}" if claim else ""


def _early_sentence(row: Row, reference: str, random: Random) -> str:
    """The customer's matter and, as the outcome, what the agent said first."""
    said = [turn["text"] for turn in row["turns"] if turn["speaker"] == "agent"]
    if len(said) < 3:
        return ""
    early = next((part for part in split_sentences(" ".join(said[:2])) if len(part.split()) > 5), "")
    return f"{row['issue']} Agent updated that {early[0].lower()}{early[1:]}" if early else ""


def _empty_talk(row: Row, reference: str, random: Random) -> str:
    if not row["action"] or row["resolution"] in ("no_issue", "unresolved"):
        return ""
    talk = ("The agent apologised and said that they would look into it.", "Agent asked for more details by DM.")
    return f"{row['issue']} {random.choice(talk)}"


_KINDS: dict[str, Callable[[Row, str, Random], str]] = {
    "other_number": _other_number,
    "swapped_actor": _swapped_actor,
    "flipped_negation": _flipped_negation,
    "dropped_outcome": _dropped_outcome,
    "false_claim": _false_claim,
    "early_sentence": _early_sentence,
    "empty_talk": _empty_talk,
}
