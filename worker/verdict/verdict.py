"""The verdict on one summary: reasons, evidence and risk, from its text, its conversation and how it was written."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aftercall.conversation import Turn
from worker.verdict.alignment import Aligned, Conversation, Part, read_part, split_sentences
from worker.verdict.facts import Facts
from worker.verdict.outcome import measure_outcome
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
    #: Codes, those of rules first, in the order of docs/verdict.md.
    reasons: tuple[str, ...]
    #: Probability that something is wrong with it, 0 to 1.
    risk: float
    #: For each sentence the numbers of the turns that support it, from 1, in their order.
    evidence: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Measured:
    """A summary compared with its conversation."""

    #: For the risk; counts and shares by name.
    signals: Mapping[str, float]
    reasons: tuple[str, ...]
    evidence: tuple[tuple[int, ...], ...]


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
    return Verdict(needs_review, reasons, round(risk, 4), measured.evidence)


def measure(turns: Sequence[Turn], summary: str, circumstances: Circumstances) -> Measured:
    """Signals, reasons and evidence of a summary."""
    spoken = find_language(" ".join(turn.text for turn in turns)) or "en"
    written = find_language(summary)
    is_same = written in (None, spoken)
    stemming = spoken if is_same else "en"
    conversation = Conversation(turns, stemming)
    parts = [read_part(sentence, stemming) for sentence in split_sentences(summary)]
    aligned = [conversation.align(part) for part in parts]
    found: Counter[str] = Counter()
    source = _merge(conversation.parts)
    for part in parts:
        found.update(find_unsupported(part.facts, source, is_same_language=is_same))
    _apply_rules(found, aligned, conversation, summary, stemming, is_same=is_same)
    if written is not None and written != circumstances.language:
        found["language"] = 1
    found["cut"] = int(circumstances.is_cut)
    found["coverage"] = int(circumstances.coverage < 1.0)
    found["fields_unreadable"] = int(not circumstances.is_readable)
    signals = {name: float(min(count, 3)) for name, count in found.items()}
    signals |= _shares(aligned, conversation, is_same=is_same)
    if circumstances.confidence is not None:
        signals |= _confidence(circumstances.confidence)
        found["low_confidence"] = int(circumstances.confidence.fact_logprob < _GUESS)
    evidence = tuple(tuple(sorted(turn + 1 for turn in each.turns)) for each in aligned)
    return Measured(signals, tuple(name for name in ORDER if found[name]), evidence)


#: Reasons in the order in which they are named.
ORDER = (
    "number", "currency", "date", "code", "name", "link", "actor", "no_agent", "negation", "taken_back", "one_sided",
    "coverage", "cut", "empty_talk", "no_outcome", "no_evidence", "language", "low_confidence", "fields_unreadable",
)  # fmt: skip


def _apply_rules(
    found: Counter[str],
    aligned: Sequence[Aligned],
    conversation: Conversation,
    summary: str,
    language: str,
    *,
    is_same: bool,
) -> None:
    speakers = set(conversation.speakers)
    numbers = {number for each in aligned for number in each.part.facts.numbers}
    if "agent" not in speakers:
        found["no_agent"] = int(acts_without_agent(summary))
    else:
        found["actor"] = count_wrong_actors(aligned, conversation)
    found["one_sided"] = int(len(speakers) < 2)
    found["negation"] = count_flipped(aligned, conversation, language)
    found["taken_back"] = count_taken_back(numbers, conversation)
    # Weightless sentences, such as that nobody answered, need no turn.
    found["no_evidence"] = sum(not each.turns and len(each.part.keys) > 1 for each in aligned) if is_same else 0
    outcome = measure_outcome(aligned, conversation)
    tells_little = outcome.last_agent < _LITTLE and outcome.end < _LITTLE
    found["empty_talk"] = int(is_empty_talk(aligned) and outcome.last_agent < _SOME and len(conversation.parts) > 2)
    found["no_outcome"] = int(is_same and "agent" in speakers and tells_little and len(conversation.parts) > 2)


#: Shares of the end's weight below which a summary holds nothing, or not much, of it.
_LITTLE, _SOME = 0.08, 0.35


def _shares(aligned: Sequence[Aligned], conversation: Conversation, *, is_same: bool) -> dict[str, float]:
    outcome = measure_outcome(aligned, conversation)
    total = sum(conversation.weigh(each.part.keys) for each in aligned) or 1.0
    known = sum(conversation.weigh(each.part.keys & conversation.weights.keys()) for each in aligned)
    num_words = sum(len(each.part.words) for each in aligned)
    return {
        "novel_words": 1.0 - known / total,
        "least_share": min((each.share for each in aligned if each.part.keys), default=1.0),
        "last_agent": outcome.last_agent,
        "end": outcome.end,
        "end_numbers": outcome.end_numbers,
        "reach": outcome.reach,
        "brevity": max(0.0, 1.0 - num_words / 40),
        "other_language": float(not is_same),
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
