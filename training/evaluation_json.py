"""What `aftercall evaluate --json` prints. docs/json.md documents it."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from producer.as_json import Json
from training.judge.bootstrap import Interval, compare, mean_intervals, ratio_interval
from training.judge.judgement import METRICS, Judgement
from training.registry.gate import MIN_CONVERSATIONS, RANKING_METRIC

if TYPE_CHECKING:
    from training.judge.evaluate import Evaluation

_DIGITS = 4


def evaluation(ours: "Evaluation", judged: Mapping[str, Judgement], split: str) -> Json:
    """The figures of every judgement, and their differences from ours."""
    num_conversations = ours.judgement.num_conversations
    return {
        "adapter": ours.provenance.adapter_digest or None,
        "base_model": ours.provenance.base_model,
        "weights": ours.provenance.held,
        "written_as": ours.judgement.written_as,
        "split": split,
        "data_digest": ours.judgement.data_digest,
        "is_enough_for_gate": num_conversations >= MIN_CONVERSATIONS,
        "loss": _loss(ours),
        "runtime_s": round(ours.runtime_s, 3),
        "conversations_per_s": round(num_conversations / ours.runtime_s, 3),
        "judged": [_judged(name, each, ours.judgement) for name, each in judged.items()],
    }


def _judged(name: str, each: Judgement, ours: Judgement) -> Json:
    intervals = mean_intervals({metric: each.values(metric) for metric in METRICS})
    # People's summaries are judged only on the conversations with several references, so not pairwise with ours.
    is_paired = each is not ours and each.num_conversations == ours.num_conversations
    difference = compare(ours.values(RANKING_METRIC), each.values(RANKING_METRIC)) if is_paired else None
    num = each.num_conversations
    return {
        "name": name,
        "figures": {metric: _interval(interval, num) for metric, interval in intervals.items()},
        "difference": difference and {"figure": RANKING_METRIC, **_interval(difference, num)},
    }


def _loss(ours: "Evaluation") -> Json:
    from training.judge.loss import perplexity

    loss = ours.loss
    interval = ratio_interval(loss.sums, loss.num_tokens)
    as_perplexity = Interval(perplexity(interval.mean), perplexity(interval.low), perplexity(interval.high))
    return {
        "loss": _interval(interval, len(loss.sums)),
        "perplexity": _interval(as_perplexity, len(loss.sums)),
        "num_tokens": sum(loss.num_tokens),
    }


def _interval(interval: Interval, num_conversations: int) -> Json:
    """One conversation has no interval: its bounds are null."""
    is_bounded = num_conversations > 1
    return {
        "mean": _round(interval.mean),
        "low": _round(interval.low) if is_bounded else None,
        "high": _round(interval.high) if is_bounded else None,
        "n": num_conversations,
    }


def _round(number: float) -> float | None:
    """JSON has no NaN and no infinity: a diverged model's loss is null."""
    return round(number, _DIGITS) if math.isfinite(number) else None
