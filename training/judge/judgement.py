"""A set of summaries judged: one score a conversation, their means, and the file that keeps them.

Knows words and references. It knows no model: whoever wrote the summaries, people included, is judged alike.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aftercall.errors import AdapterError
from training.data.dataset import Example, digest_examples
from training.files import write_artifact
from training.judge.heuristics import describe
from training.judge.rouge import Rouge, score_references

EVALUATION_FILE = "evaluation.json"
#: The base model alone, held as it is under the adapter: what a first promotion is compared with.
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
    """All summaries of a split judged."""

    name: str
    data_digest: str
    verdicts: tuple[Verdict, ...]
    #: How base model and decoding were set; empty for people and for files that do not say it yet.
    written_as: str = ""

    def values(self, metric: str) -> list[float]:
        """One figure a conversation; percent where it is a share."""
        return [METRICS[metric](verdict) for verdict in self.verdicts]

    def means(self) -> dict[str, float]:
        """Every metric's mean."""
        return {metric: _mean(self.values(metric)) for metric in METRICS}

    def is_written_as(self, other: "Judgement") -> bool:
        """Whether base model and decoding were set alike, as far as both say it."""
        return not (self.written_as and other.written_as) or self.written_as == other.written_as

    def is_comparable(self, other: "Judgement") -> bool:
        """Whether both are of the same conversations and references, written in the same way."""
        return self.data_digest == other.data_digest and self.is_written_as(other)


#: What is reported, in this order. Shares are percent, so that their mean is one.
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
    """Judge one summary a conversation against its references and its text."""
    verdicts = [_judge_one(text, example) for text, example in zip(summaries, examples, strict=True)]
    return Judgement(name, digest_examples(examples), tuple(verdicts), written_as)


def save_judgement(path: Path, judgement: Judgement, extra: dict[str, Any]) -> None:
    """Keep a judgement in a file: the gate compares what stands there."""
    document = {**asdict(judgement), "means": judgement.means(), **extra}
    write_artifact(path, json.dumps(document, indent=1, ensure_ascii=False).encode())


def load_judgement(path: Path) -> Judgement:
    """The judgement in a file of the folder that is named by its adapter's digest; AdapterError if there is none."""
    try:
        document = json.loads(path.read_bytes())
        verdicts = tuple(_read_verdict(entry) for entry in document["verdicts"])
        return Judgement(document["name"], document["data_digest"], verdicts, document.get("written_as", ""))
    except FileNotFoundError:
        raise AdapterError(
            f"{path.parent} has not been judged. Run `aftercall evaluate {path.parent.name}` first."
        ) from None
    except (ValueError, KeyError, TypeError) as error:
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
