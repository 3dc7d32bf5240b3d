"""The gate: no adapter is promoted that is worse than the active one. Knows two judgements of the same data."""

from dataclasses import dataclass

from aftercall.errors import AdapterError
from training.judge.bootstrap import Interval, compare
from training.judge.judgement import Judgement

#: The figure by which adapters are ranked: it must not fall at all.
RANKING_METRIC = "rouge_average"

#: Shares of bad summaries: they must not rise beyond doubt.
HARM_METRICS = ("unsupported", "role_swapped")


@dataclass(frozen=True, slots=True)
class GateReport:
    """How a candidate compares with the active adapter, in percentage points."""

    differences: dict[str, Interval]
    #: Why it is refused, a sentence each; empty: it passes.
    refusals: tuple[str, ...]

    @property
    def is_passed(self) -> bool:
        """Whether nothing speaks against the candidate."""
        return not self.refusals


def compare_at_gate(candidate: Judgement, incumbent: Judgement) -> GateReport:
    """Compare conversation by conversation; AdapterError if the two were judged on different data."""
    if candidate.data_digest != incumbent.data_digest:
        raise AdapterError(
            f"{candidate.name} and {incumbent.name} were judged on different conversations. Run `aftercall evaluate` "
            "for both with the same --data."
        )
    differences = {
        metric: compare(candidate.values(metric), incumbent.values(metric))
        for metric in (RANKING_METRIC, *HARM_METRICS)
    }
    refusals = []
    if differences[RANKING_METRIC].mean < 0:
        refusals.append(f"its ROUGE is lower by {_format_interval(differences[RANKING_METRIC])}")
    for metric in HARM_METRICS:
        if differences[metric].low > 0:
            refusals.append(
                f"more of its summaries are {metric.replace('_', ' ')}, by {_format_interval(differences[metric])}"
            )
    return GateReport(differences, tuple(refusals))


def _format_interval(interval: Interval) -> str:
    low, high = sorted((abs(interval.low), abs(interval.high)))
    is_sure = interval.low * interval.high > 0
    bounds = f"{low:.2f} to {high:.2f}" if is_sure else f"{interval.low:+.2f} to {interval.high:+.2f}"
    return f"{abs(interval.mean):.2f} points (95% interval {bounds})"
