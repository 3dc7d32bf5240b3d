"""What a completion is worth: its text and fields, how sure the model was of them, and the verdict."""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aftercall.conversation import Turn
from aftercall.fields import Label, Written, read_completion
from aftercall.profile import Profile
from worker.engine.base import Completion
from worker.verdict.verdict import Circumstances, Confidence, Verdict, judge

#: Characters of a summary that state a fact: numbers, and names inside a sentence.
_FACT = re.compile(r"\d[\d.,:/-]*|(?<=[a-z,] )[A-Z][\w’'-]+")


@dataclass(frozen=True, slots=True)
class Token:
    """A token of a completion's text."""

    start: int
    end: int
    logprob: float


@dataclass(frozen=True, slots=True)
class Checked:
    """A completion, read and judged."""

    written: Written
    verdict: Verdict
    #: Probability of each label's tokens; None without a label.
    resolution_p: float | None
    reason_p: float | None

    @property
    def columns(self) -> dict[str, Any]:
        """The columns of a summary's row that say so."""
        fields, verdict = self.written.fields, self.verdict
        return {
            "needs_review": verdict.needs_review,
            "reasons": json.dumps(verdict.reasons),
            "risk": verdict.risk,
            "evidence": json.dumps(verdict.evidence),
            "issue": fields.issue,
            "action": fields.action,
            "follow_up": fields.follow_up,
            "resolution": fields.resolution,
            "resolution_p": self.resolution_p,
            "reason": fields.reason,
            "reason_p": self.reason_p,
        }


def check_completion(
    completion: Completion, turns: Sequence[Turn], profile: Profile, tokenizer: Any, coverage: float
) -> Checked:
    """Read and judge what a model wrote for a conversation of these turns."""
    written = read_completion(completion.text, profile, turns)
    tokens = find_tokens(completion, tokenizer)
    circumstances = Circumstances(
        coverage=coverage,
        is_cut=completion.finish_reason == "length",
        is_readable=written.is_readable,
        language=profile.language,
        confidence=_measure(completion, tokens) if completion.logprobs else None,
    )
    verdict = judge(turns, written.text, circumstances)
    is_by_rule = written.resolution is not None and written.resolution.value != written.fields.resolution
    resolution_p = 1.0 if is_by_rule else _probability(written.resolution, tokens)
    return Checked(written, verdict, resolution_p, _probability(written.reason, tokens))


def find_tokens(completion: Completion, tokenizer: Any) -> list[Token]:
    """Where each token's characters are in a completion's text; none if the text comes to other tokens."""
    if not completion.logprobs:
        return []
    encoded = tokenizer(completion.text, add_special_tokens=False, return_offsets_mapping=True)
    token_ids, offsets = encoded["input_ids"], encoded["offset_mapping"]
    if tuple(token_ids) != completion.token_ids[: len(token_ids)]:
        return []
    return [Token(start, end, logprob) for (start, end), logprob in zip(offsets, completion.logprobs, strict=False)]


def _measure(completion: Completion, tokens: Sequence[Token]) -> Confidence:
    spans = [found.span() for found in _FACT.finditer(completion.text)]
    facts = [token.logprob for token in tokens if any(token.start < end and start < token.end for start, end in spans)]
    return Confidence(
        mean_logprob=sum(completion.logprobs) / len(completion.logprobs),
        min_logprob=min(completion.logprobs),
        max_entropy=completion.max_entropy,
        fact_logprob=min(facts, default=0.0),
    )


def _probability(label: Label | None, tokens: Sequence[Token]) -> float | None:
    """The product of the probabilities of a label's tokens."""
    if label is None or not tokens:
        return None
    logprobs = [token.logprob for token in tokens if token.start < label.end and label.start < token.end]
    return round(math.exp(sum(logprobs)), 4)
