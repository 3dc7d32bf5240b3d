"""The line format of profiles with fields: what a completion says, and how training writes one.

    The customer's kettle from order 5512 arrived cracked.        line 1: the issue
    The agent sent a replacement.                                  line 2: what was done; `-` or absent if nothing was
    It should arrive by Friday.                                    line 3, optional: how it stands, what follows
    = quality, follow_up                                           the labels: reason, resolution

Reading never fails: what cannot be read is None, and `is_readable` says so.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from aftercall.conversation import Turn
from aftercall.profile import Profile
from aftercall.prompt import clean_completion

#: How a conversation stands in which only the customer wrote. By rule, whatever the model says.
NO_AGENT = "No agent replied."

#: In the place of line 2, where nothing was done and a third line follows.
_NOTHING = "-"

_LABELS = re.compile(r"(?:^|\s)=[ \t]*([^\s=,;|/][^=,;|/\n]*?)[ \t]*(?:[,;|/][ \t]*([^=,;|/\n]+?)[ \t]*)?[.\n]*$")
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[^\W_a-z])")

#: A sentence about the other side, which did not write.
_ABOUT_AGENT = re.compile(
    r"\b(?:agents?|representatives?|support team)\b|\bun(?:answered|acknowledged)\b"
    r"|\b(?:no|any|without an?|no one|nobody)(?: \w+){0,2} (?:repl|answer|respon|react)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Fields:
    """What a support floor works with, beside the text. None: not known."""

    issue: str | None = None
    action: str | None = None
    follow_up: str | None = None
    resolution: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Label:
    """A label as the model wrote it, and where its characters are in the raw completion."""

    value: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Written:
    """A completion, read."""

    #: The prose on one line, as it is stored.
    text: str
    fields: Fields
    #: Whether both labels were there and on their lists; True for profiles without fields.
    is_readable: bool
    reason: Label | None = None
    resolution: Label | None = None


def read_completion(completion: str, profile: Profile, turns: Sequence[Turn]) -> Written:
    """The summary and its fields in a raw completion for a conversation of these turns.

    A conversation without an agent's turn is said to be without an answer, whatever the model wrote.
    """
    is_answered = any(turn.speaker == "agent" for turn in turns)
    text = clean_completion(completion, profile.stop)
    if not profile.fields:
        prose = " ".join(text.split())
        return Written(prose if is_answered else say_no_answer(prose), Fields(), is_readable=True)
    found = _LABELS.search(text)
    reason, resolution = _find_labels(found, profile) if found else (None, None)
    lines = _split_lines(text[: found.start()] if found else text)
    return _settle(lines, reason, resolution, profile, is_answered=is_answered)


def write_completion(lines: Sequence[str], reason: str, resolution: str) -> str:
    """The completion of these prose lines and labels, as training shows it; an empty second line is marked."""
    prose = [" ".join(line.split()) for line in lines]
    while len(prose) > 1 and not prose[-1]:
        prose.pop()
    return "\n".join([*(line or _NOTHING for line in prose), f"= {reason}, {resolution}"])


def split_sentences(text: str) -> list[str]:
    """Sentences, ended by a mark before a capital or a figure."""
    return [part for part in _SENTENCE.split(text.strip()) if part]


def say_no_answer(prose: str) -> str:
    """`prose` without its sentences about an agent, who did not write, and with one that says so."""
    kept = [sentence for sentence in split_sentences(prose) if not _ABOUT_AGENT.search(sentence)]
    return " ".join([*kept, NO_AGENT])


def _split_lines(prose: str) -> list[str]:
    return [line for part in prose.split("\n") if (line := " ".join(part.split()))]


def _settle(
    lines: Sequence[str], reason: Label | None, resolution: Label | None, profile: Profile, *, is_answered: bool
) -> Written:
    issue: str | None = lines[0] if lines else None
    action: str | None = lines[1] if len(lines) > 1 else None
    standing: str | None = " ".join(lines[2:]) or None
    stands = resolution.value if resolution else None
    if not is_answered:
        stands = stands if stands == "no_issue" else "no_answer" if "no_answer" in profile.resolutions else None
        issue = say_no_answer(issue or "").removesuffix(NO_AGENT).strip() or None
        # Without an issue there is no summary.
        action, standing = None, NO_AGENT if issue else None
    action = None if action == _NOTHING else action
    text = " ".join(line for line in (issue, action, standing) if line)
    fields = Fields(
        issue=issue,
        action=None if stands == "no_answer" else action,
        follow_up=standing if stands == "follow_up" else None,
        resolution=stands,
        reason=reason.value if reason else None,
    )
    is_readable = reason is not None and stands is not None
    return Written(text, fields, is_readable, reason, resolution)


def _find_labels(found: re.Match[str], profile: Profile) -> tuple[Label | None, Label | None]:
    """Reason and resolution, in whichever order they stand."""
    reason = resolution = None
    for group in (1, 2):
        value = re.sub(r"[\s-]+", "_", (found[group] or "").strip(" .").casefold())
        label = Label(value, found.start(group), found.end(group))
        if value in profile.reasons and reason is None:
            reason = label
        elif value in profile.resolutions and resolution is None:
            resolution = label
    return reason, resolution
