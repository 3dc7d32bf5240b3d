"""Rules over an aligned summary: who acts, what is denied, what was taken back, what is left out, what says nothing."""

import re
from collections import Counter
from collections.abc import Sequence

from worker.verdict.alignment import Aligned, Conversation
from worker.verdict.lexicon import NEGATIONS
from worker.verdict.words import split_words, stem

_AGENT_ACTS = re.compile(
    r"\b(?:agents?|representatives?|advis[eo]rs?|company|support team)\s+"
    r"(?!(?:did|has|have|had|was|were|is|could|would)?\s*(?:not|never|n't|no)\b)\w+",
    re.IGNORECASE,
)
_AGENT_SUBJECT = re.compile(r"^(?:the |an? )?(?:agent|representative|adviser|advisor|company|support)\b", re.IGNORECASE)
_CUSTOMER_SUBJECT = re.compile(r"^(?:the |an? )?(?:customer|caller|user|client|guest|passenger)\b", re.IGNORECASE)
_SAYS_NO_AGENT = re.compile(
    r"\bno (?:agent|one|reply|answer|response)\b|\bnobody\b|\bun(?:answered|acknowledged)\b", re.IGNORECASE
)

#: Words behind a negation that it still denies.
_NEGATION_REACH = 4
_MIN_DENIED_LENGTH = 5

_CORRECTS = re.compile(
    r"\b(?:sorry|apolog\w+|actually|correct(?:ion|ing)|i mea?nt?|wrong|mis(?:take|read|typed|spoke|quoted)|instead"
    r"|scratch that"
    r"|hang on|hold on|my bad|typo|not \S+ but|no,|wait|rather|after all|oops|entschuldig\w+|falsch|doch|perd[oó]n|"
    r"me equivoqu[eé]|pardon|erreur|plut[oô]t)(?!\w)",
    re.IGNORECASE,
)
#: Turns before a correction in which what it corrects was said.
_CORRECTED_REACH = 4

_EMPTY = re.compile(
    r"look(?:ing|ed)? into|apologi[sz]|\bsorry\b|get back|check(?:ing|ed)? (?:on|this|it|the)|thank(?:ed|s)?\b"
    r"|will (?:assist|help)|escalat|(?:asked|updated|informed|requested) (?:the customer |that |them |to )*"
    r"(?:to |for )?(?:dm|send|share|provide|more|details)",
    re.IGNORECASE,
)
_ABOUT_AGENT = re.compile(r"\bagent|compan|support|they\b", re.IGNORECASE)
#: Deeds that one side promises or asks of the other, each by its usual name.
_DEED = {
    "call": "call", "ring": "call", "phone": "call", "pay": "pay", "send": "send", "post": "send", "email": "send",
    "wait": "wait", "return": "return", "collect": "collect", "refund": "refund", "repay": "refund", "bring": "bring",
}  # fmt: skip
_DEEDS = "|".join(_DEED)
_WILL = re.compile(
    r"\b(agent|company|team|support|customer|caller|user)\b[^.;]{0,25}?"
    rf"\b(?:will|must|is to|should|has to|needs to|would)\b (?:\w+ ){{0,2}}?({_DEEDS})\b",
    re.IGNORECASE,
)
_FIRST_PERSON = re.compile(
    rf"\b(?:i|we)(?:['’]ll| will| can|['’]m going to| am going to)\b (?:\w+ ){{0,3}}?({_DEEDS})\b", re.IGNORECASE
)
_SECOND_PERSON = re.compile(
    r"\b(?:please|you(?:['’]ll| will| can| must| need to| have to| could| should)?|just|to)\b "
    rf"(?:\w+ ){{0,2}}?({_DEEDS})\b",
    re.IGNORECASE,
)

#: Runs of words, and how often one may come, before a text counts as a loop.
_LOOP_LENGTH, _MAX_REPEATS = 4, 2
_RUN = re.compile(r"(\S)\1{14,}|(\S{2,6})(?:\s*\2){7,}")


def is_degenerate(text: str) -> bool:
    """Whether a completion goes round in a loop instead of saying something."""
    if _RUN.search(text):
        return True
    words = text.casefold().split()
    runs = Counter(zip(*(words[offset:] for offset in range(_LOOP_LENGTH)), strict=False))
    if runs and max(runs.values()) > _MAX_REPEATS:
        return True
    return any(len(set(words[i : i + 6])) == 1 for i in range(len(words) - 5))


def acts_without_agent(text: str) -> bool:
    """Whether a summary tells of an agent's act; asked where none wrote."""
    rest = " ".join(part for part in re.split(r"(?<=[.!?])\s+", text) if not _SAYS_NO_AGENT.search(part))
    return _AGENT_ACTS.search(rest) is not None


def count_wrong_actors(aligned: Sequence[Aligned], conversation: Conversation) -> int:
    """Sentences whose subject is one side and whose words are the other's, and promises of the wrong side."""
    wrong = 0
    promised = _find_promises(conversation)
    for each in aligned:
        text = each.part.text
        if _AGENT_SUBJECT.search(text) and not _SAYS_NO_AGENT.search(text):
            wrong += each.user_share > 1.6 * each.agent_share + 0.15
        elif _CUSTOMER_SUBJECT.search(text):
            wrong += each.agent_share > 2.2 * each.user_share + 0.25
        for who, deed in _WILL.findall(text):
            side = "user" if who.casefold() in ("customer", "caller", "user") else "agent"
            known = promised.get(_DEED[deed.casefold()])
            if known and side not in known:
                wrong += 1
    return wrong


def _find_promises(conversation: Conversation) -> dict[str, set[str]]:
    """Who is to do what: `I'll call` of the speaker, `please call` of the other side."""
    promised: dict[str, set[str]] = {}
    for speaker, part in zip(conversation.speakers, conversation.parts, strict=True):
        other = "agent" if speaker == "user" else "user"
        for deed in _FIRST_PERSON.findall(part.text):
            promised.setdefault(_DEED[deed.casefold()], set()).add(speaker)
        for deed in _SECOND_PERSON.findall(part.text):
            promised.setdefault(_DEED[deed.casefold()], set()).add(other)
    return promised


def count_flipped(aligned: Sequence[Aligned], conversation: Conversation, language: str) -> int:
    """Sentences that deny what the clause that they restate affirms, or the other way round."""
    flipped = 0
    for each in aligned:
        said = _polarities(each.part.words, language)
        for clause in _restated(each, conversation):
            heard = _polarities(split_words(clause), language)
            shared = said.keys() & heard.keys()
            if len(shared) >= _MIN_SHARED and len(shared) >= _RESTATED * len(said):
                flipped += any(len(said[word]) == 1 and not said[word] & heard[word] for word in shared)
                break
    return flipped


def _restated(aligned: Aligned, conversation: Conversation) -> list[str]:
    """The clauses of the turns that support a sentence."""
    return [clause for turn in aligned.turns for clause in _CLAUSE.split(conversation.parts[turn].text)]


#: A sentence restates a clause if they share so many longer words, and this share of the sentence's.
_MIN_SHARED, _RESTATED = 2, 0.4
_CLAUSE = re.compile(r"[.!?;]\s+|,\s+(?:but|and|so)\s+")


def _polarities(words: Sequence[str], language: str) -> dict[str, set[bool]]:
    """Each longer word by its stem, and whether it is denied, affirmed or both."""
    found: dict[str, set[bool]] = {}
    reach = 0
    for word in words:
        if word in NEGATIONS:
            reach = _NEGATION_REACH
        elif len(word) >= _MIN_DENIED_LENGTH:
            found.setdefault(stem(word, language), set()).add(reach > 0)
        reach -= 1
    return found


def count_taken_back(numbers: set[str], conversation: Conversation) -> int:
    """Numbers of a summary that a later turn replaced by others, which the summary does not have."""
    wrong: set[str] = set()
    last = {number: index for index, part in enumerate(conversation.parts) for number in part.facts.numbers}
    for index, part in enumerate(conversation.parts):
        new = part.facts.numbers
        if not new or new & numbers or not _CORRECTS.search(part.text):
            continue
        for earlier in conversation.parts[max(0, index - _CORRECTED_REACH) : index]:
            wrong |= {number for number in earlier.facts.numbers & numbers if last[number] < index}
    return len(wrong)


def is_empty_talk(aligned: Sequence[Aligned]) -> bool:
    """Whether what a summary says of the agent is only that somebody is sorry or looks into it."""
    about_agent = [
        each for each in aligned if re.search(r"\bagent|compan|support|they\b", each.part.text, re.IGNORECASE)
    ]
    return bool(about_agent) and all(
        _EMPTY.search(each.part.text) and not each.part.facts.numbers for each in about_agent
    )
