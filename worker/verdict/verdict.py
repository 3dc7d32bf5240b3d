"""The verdict on one summary: reasons, evidence and risk, from its text, its conversation and how it was written."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aftercall.conversation import Turn
from aftercall.fields import split_sentences
from worker.verdict.alignment import Aligned, Conversation, Part, make_part
from worker.verdict.facts import Facts, find_facts
from worker.verdict.hints import find_hints
from worker.verdict.outcome import Outcome, measure_outcome
from worker.verdict.risk import RiskModel, load_risk
from worker.verdict.rules import acts_without_agent, count_flipped, count_taken_back, count_wrong_actors, is_empty_talk
from worker.verdict.support import find_unsupported
from worker.verdict.words import find_language

#: Natural logarithm of the probability below which a token that carries a fact is a guess.
_GUESS = -2.3


@dataclass(frozen=True, slots=True)
class Confidence:
    """How sure the model was, in nats; the token that carries a fact apart."""

    mean_logprob: float
    min_logprob: float
    max_entropy: float
    #: Of the tokens that carry numbers and names; 0 where there are none.
    fact_logprob: float = 0.0


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is known of a completion besides its text."""

    #: Share of the conversation that the model saw, 0 to 1.
    coverage: float = 1.0
    is_cut: bool = False
    is_readable: bool = True
    #: The language that was asked for; ISO 639-1.
    language: str = "en"
    confidence: Confidence | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a person should read a summary before it is used, and why."""

    needs_review: bool
    #: Codes, those of rules first, in the order of docs/profiles.md.
    reasons: tuple[str, ...]
    #: Probability that something is wrong with it, 0 to 1.
    risk: float
    #: For each sentence the numbers of the turns that support it, from 1, in their order.
    evidence: tuple[tuple[int, ...], ...]
    #: Share of what the last telling agent turn says that the summary holds, 0 to 1.
    last_agent: float = 0.0
    #: Numbers and codes of the summary that the conversation has too.
    num_known_numbers: int = 0


@dataclass(frozen=True, slots=True)
class Measured:
    """A summary compared with its conversation."""

    #: For the risk; counts and shares by name.
    signals: Mapping[str, float]
    reasons: tuple[str, ...]
    evidence: tuple[tuple[int, ...], ...]
    num_known_numbers: int


#: Reasons that ask for a review whatever the risk. The others count in the risk alone.
SURE = frozenset(
    {"number", "currency", "code", "link", "no_agent", "one_sided", "coverage", "cut", "language", "fields_unreadable"}
)  # fmt: skip


def judge(
    turns: Sequence[Turn], summary: str, circumstances: Circumstances | None = None, model: RiskModel | None = None
) -> Verdict:
    """The verdict on a summary of these turns, by the shipped risk model unless another is given."""
    measured = measure(turns, summary, circumstances or Circumstances())
    model = model or load_risk()
    risk = model.risk(measured.signals)
    reasons = measured.reasons
    if risk >= model.threshold and not reasons:
        reasons = ("risk",)
    needs_review = risk >= model.threshold or any(reason in SURE for reason in reasons)
    return Verdict(
        needs_review=needs_review,
        reasons=reasons,
        risk=round(risk, 4),
        evidence=measured.evidence,
        last_agent=measured.signals["last_agent"],
        num_known_numbers=measured.num_known_numbers,
    )


def measure(turns: Sequence[Turn], summary: str, circumstances: Circumstances) -> Measured:
    """Signals, reasons and evidence of a summary."""
    compared = _compare(turns, summary)
    found = _count_faults(compared)
    found["language"] = int(compared.written not in (None, circumstances.language))
    found["cut"] = int(circumstances.is_cut)
    found["coverage"] = int(circumstances.coverage < 1.0)
    found["fields_unreadable"] = int(not circumstances.is_readable)
    signals = {name: float(min(count, _MOST)) for name, count in found.items()} | _shares(compared)
    if circumstances.confidence is not None:
        signals |= _confidence(circumstances.confidence)
        found["low_confidence"] = int(circumstances.confidence.fact_logprob < _GUESS)
    evidence = tuple(tuple(sorted(turn + 1 for turn in each.turns)) for each in compared.aligned)
    known = {key for each in compared.aligned for key in each.part.keys} & compared.conversation.weights.keys()
    num_known_numbers = sum(key[0] == "#" for key in known)
    return Measured(signals, tuple(name for name in ORDER if found[name]), evidence, num_known_numbers)


#: Reasons in the order in which they are named.
ORDER = (
    "number", "currency", "date", "code", "name", "link", "actor", "no_agent", "negation", "taken_back", "one_sided",
    "coverage", "cut", "empty_talk", "no_outcome", "no_evidence", "language", "low_confidence", "fields_unreadable",
)  # fmt: skip
#: More faults of a kind count as this many.
_MOST = 3


@dataclass(frozen=True, slots=True)
class _Compared:
    """A summary beside its conversation."""

    summary: str
    aligned: Sequence[Aligned]
    conversation: Conversation
    outcome: Outcome
    #: Language of the summary; None if it has too few words to tell.
    written: str | None
    #: Whether the conversation is in the summary's language, so that their words can be compared.
    is_same: bool


def _compare(turns: Sequence[Turn], summary: str) -> _Compared:
    conversation = Conversation(turns)
    sentences = [(sentence, find_facts(sentence)) for sentence in split_sentences(summary)]
    written = find_language([word for _, facts in sentences for word in facts.words])
    is_same = written in (None, conversation.language)
    language = conversation.language if is_same else "en"
    aligned = [conversation.align(make_part(text, facts, language)) for text, facts in sentences]
    return _Compared(summary, aligned, conversation, measure_outcome(aligned, conversation), written, is_same)


def _count_faults(compared: _Compared) -> Counter[str]:
    aligned, conversation = compared.aligned, compared.conversation
    is_answered, is_long = "agent" in conversation.speakers, len(conversation.parts) > 2
    source = _merge(conversation.parts)
    found: Counter[str] = Counter()
    for each in aligned:
        found.update(find_unsupported(each.part.facts, source, is_same_language=compared.is_same))
    found["one_sided"] = int(len(set(conversation.speakers)) < 2)
    found["taken_back"] = count_taken_back({n for each in aligned for n in each.part.facts.numbers}, conversation)
    found["empty_talk"] = int(is_long and is_empty_talk(aligned) and compared.outcome.last_agent < _SOME)
    if is_answered:
        found["actor"] = count_wrong_actors(aligned, conversation)
    else:
        found["no_agent"] = int(acts_without_agent(compared.summary))
    if compared.is_same:
        found["negation"] = count_flipped(aligned, conversation, conversation.language)
        # Sentences of no weight, such as that nobody answered, need no turn.
        found["no_evidence"] = sum(not each.turns and len(each.part.keys) > 1 for each in aligned)
        is_little = compared.outcome.last_agent < _LITTLE and compared.outcome.end < _LITTLE
        found["no_outcome"] = int(is_answered and is_long and is_little)
    return found


#: Shares of the end's weight below which a summary holds nothing, or not much, of it.
_LITTLE, _SOME = 0.08, 0.35


def _shares(compared: _Compared) -> dict[str, float]:
    aligned, conversation, outcome = compared.aligned, compared.conversation, compared.outcome
    total = sum(conversation.weigh(each.part.keys) for each in aligned) or 1.0
    known = sum(conversation.weigh(each.part.keys & conversation.weights.keys()) for each in aligned)
    return find_hints(aligned, conversation) | {
        "novel_words": 1.0 - known / total,
        "least_share": min((each.share for each in aligned if each.part.keys), default=1.0),
        "last_agent": outcome.last_agent,
        "end": outcome.end,
        "end_numbers": outcome.end_numbers,
        "reach": outcome.reach,
        "other_language": float(not compared.is_same),
    }


def _confidence(confidence: Confidence) -> dict[str, float]:
    return {
        "mean_logprob": confidence.mean_logprob,
        "min_logprob": max(confidence.min_logprob, -10.0),
        "fact_logprob": max(confidence.fact_logprob, -10.0),
        "max_entropy": confidence.max_entropy,
    }


def _merge(parts: Sequence[Part]) -> Facts:
    """The facts of a whole conversation."""
    merged = Facts()
    for part in parts:
        for name in _SETS:
            if found := getattr(part.facts, name):
                getattr(merged, name).update(found)
        merged.words += part.facts.words
    merged.digits = " ".join(part.facts.digits for part in parts)
    return merged


_SETS = ("numbers", "spoken", "amounts", "dates", "months", "weekdays", "times", "codes", "names", "links")
