"""Judges a set of summaries: a verdict per conversation, their means, and the file that stores them.

Summaries of models, people and baselines are judged in the same way.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from aftercall.errors import AdapterError
from training.data.dataset import Example, digest_examples
from training.files import write_artifact
from training.judge.heuristics import describe
from training.judge.rouge import Rouge, score_references

EVALUATION_FILE = "evaluation.json"
#: The base model alone, stored in memory as under the adapter; a first promotion is compared with it.
BASE_EVALUATION_FILE = "base_evaluation.json"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One summary judged; ROUGE in percent."""

    conversation_id: str
    summary: str
    average: Rouge
    best: Rouge
    num_words: int
    num_sentences: int
    is_whole: bool
    #: Percent.
    copy_rate: float
    unsupported: tuple[str, ...]
    is_role_swapped: bool


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdicts on all summaries of a split."""

    name: str
    data_digest: str
    verdicts: tuple[Verdict, ...]
    #: The settings of base model and decoding; empty for people, and in files written before this field existed.
    written_as: str = ""
    #: ROUGE of the baselines on the same conversations, in their order; empty for a baseline itself, and in files
    #: written before this field existed.
    baselines: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    @property
    def num_conversations(self) -> int:
        """The n behind every figure."""
        return len(self.verdicts)

    def values(self, metric: str) -> list[float]:
        """One figure per conversation; shares are in percent."""
        return [METRICS[metric](verdict) for verdict in self.verdicts]

    def means(self) -> dict[str, float]:
        """Every metric's mean."""
        return {metric: _mean(self.values(metric)) for metric in METRICS}

    def is_written_as(self, other: "Judgement") -> bool:
        """Whether base model and decoding had the same settings, as far as both record them."""
        return not (self.written_as and other.written_as) or self.written_as == other.written_as

    def is_comparable(self, other: "Judgement") -> bool:
        """Whether both are of the same conversations and references, with the same settings."""
        return self.data_digest == other.data_digest and self.is_written_as(other)


#: The reported figures, in order. Shares are 0 or 100 per conversation, so that their mean is a percentage.
METRICS: dict[str, Callable[[Verdict], float]] = {
    "rouge1_average": lambda verdict: verdict.average.rouge1,
    "rouge2_average": lambda verdict: verdict.average.rouge2,
    "rougeL_average": lambda verdict: verdict.average.rouge_l,
    "rouge1_best": lambda verdict: verdict.best.rouge1,
    "rouge2_best": lambda verdict: verdict.best.rouge2,
    "rougeL_best": lambda verdict: verdict.best.rouge_l,
    "rouge_average": lambda verdict: verdict.average.mean,
    "words": lambda verdict: verdict.num_words,
    "two_sentences": lambda verdict: 100.0 * (verdict.num_sentences == 2),
    "whole": lambda verdict: 100.0 * verdict.is_whole,
    "copied": lambda verdict: verdict.copy_rate,
    "unsupported": lambda verdict: 100.0 * bool(verdict.unsupported),
    "role_swapped": lambda verdict: 100.0 * verdict.is_role_swapped,
}


def judge(name: str, summaries: Sequence[str], examples: Sequence[Example], written_as: str = "") -> Judgement:
    """Judge one summary per conversation against its references and its text."""
    verdicts = [_judge_one(text, example) for text, example in zip(summaries, examples, strict=True)]
    return Judgement(name, digest_examples(examples), tuple(verdicts), written_as)


def save_judgement(path: Path, judgement: Judgement, extra: dict[str, Any]) -> None:
    """Store a judgement in a file, which the gate reads."""
    document = {
        **asdict(judgement),
        "num_conversations": judgement.num_conversations,
        "means": judgement.means(),
        **extra,
    }
    write_artifact(path, json.dumps(document, indent=1, ensure_ascii=False).encode())


def load_judgement(path: Path) -> Judgement:
    """Read a judgement from a file in a folder named by its adapter's digest; AdapterError if there is none."""
    try:
        document = json.loads(path.read_bytes())
        verdicts = tuple(_read_verdict(entry) for entry in document["verdicts"])
        baselines = {name: tuple(scores) for name, scores in document.get("baselines", {}).items()}
        return Judgement(document["name"], document["data_digest"], verdicts, document.get("written_as", ""), baselines)
    except FileNotFoundError:
        raise AdapterError(
            f"{path.parent} has not been judged. Run `aftercall evaluate {path.parent.name}` first."
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise AdapterError(f"{path} is not a judgement ({error!r}). Run `aftercall evaluate` again.") from error


def _judge_one(summary: str, example: Example) -> Verdict:
    scores = score_references(summary, example.references)
    wording = describe(summary, example.text)
    return Verdict(
        conversation_id=example.conversation.external_id,
        summary=summary,
        average=scores.average.scaled(100),
        best=scores.best.scaled(100),
        num_words=wording.num_words,
        num_sentences=wording.num_sentences,
        is_whole=wording.is_whole,
        copy_rate=100 * wording.copy_rate,
        unsupported=wording.unsupported,
        is_role_swapped=wording.is_role_swapped,
    )


def _read_verdict(entry: dict[str, Any]) -> Verdict:
    scores = {name: Rouge(**entry[name]) for name in ("average", "best")}
    return Verdict(**{**entry, **scores, "unsupported": tuple(entry["unsupported"])})


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
