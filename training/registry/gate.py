"""The promotion gate: compares a candidate's judgement with that of what is served now, and with the baselines."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from aftercall.errors import AdapterError
from training.judge.bootstrap import Interval, compare
from training.judge.judgement import Judgement

#: The figure by which adapters are ranked.
RANKING_METRIC = "rouge_average"

#: Shares of bad summaries: the gate refuses a rise whose interval lies above zero.
HARM_METRICS = ("unsupported", "role_swapped")

#: With fewer held-out conversations the gate refuses: chance decides there.
MIN_CONVERSATIONS = 30


@dataclass(frozen=True, slots=True)
class GateReport:
    """How a candidate compares with what is served now, in percentage points."""

    differences: Mapping[str, Interval]
    #: The reasons to refuse the candidate, one sentence each; empty if it passes.
    refusals: tuple[str, ...]
    #: The conversations that both were judged on.
    num_conversations: int
    #: The difference in ROUGE to each baseline.
    baselines: Mapping[str, Interval] = field(default_factory=dict)

    @property
    def is_passed(self) -> bool:
        """Whether there is no reason to refuse the candidate."""
        return not self.refusals


def compare_at_gate(
    candidate: Judgement, incumbent: Judgement, served: str = "what is served now", *, allows_tie: bool = False
) -> GateReport:
    """Compare two judgements conversation by conversation; AdapterError if they are of different data.

    Args:
        served: what the incumbent is, for the sentences.
        allows_tie: pass a candidate whose ROUGE is not lower, though not surely higher either.
    """
    if candidate.data_digest != incumbent.data_digest:
        raise AdapterError(
            f"{candidate.name} and {incumbent.name} were judged on different conversations. Run `aftercall evaluate` "
            "for both with the same --data."
        )
    differences = {
        metric: compare(candidate.values(metric), incumbent.values(metric))
        for metric in (RANKING_METRIC, *HARM_METRICS)
    }
    ours = candidate.values(RANKING_METRIC)
    baselines = {name: compare(ours, theirs) for name, theirs in candidate.baselines.items()}
    refusals = (
        *_check_number(len(ours)),
        *_check_baselines(candidate, baselines),
        *_check_rank(differences[RANKING_METRIC], served, allows_tie=allows_tie),
        *_check_harm(differences, served),
    )
    return GateReport(differences, refusals, len(ours), baselines)


def _check_number(num_conversations: int) -> list[str]:
    if num_conversations >= MIN_CONVERSATIONS:
        return []
    return [f"it was judged on n={num_conversations} held-out conversations, and the gate needs {MIN_CONVERSATIONS}"]


def _check_baselines(candidate: Judgement, baselines: Mapping[str, Interval]) -> list[str]:
    if not baselines:
        return [
            "its judgement was made by an earlier version and does not compare it with the baselines (run `aftercall "
            f"evaluate {candidate.name}` again)"
        ]
    return [
        f"its ROUGE does not beat the baseline '{name}': {_format_difference(interval)}"
        for name, interval in baselines.items()
        if interval.low <= 0
    ]


def _check_rank(difference: Interval, served: str, *, allows_tie: bool) -> list[str]:
    if difference.mean < 0:
        return [f"its ROUGE is lower than that of {served}: {_format_difference(difference)}"]
    if difference.low <= 0 and not allows_tie:
        return [
            f"its ROUGE is not surely higher than that of {served}: {_format_difference(difference)} "
            "(--allow-tie accepts that)"
        ]
    return []


def _check_harm(differences: Mapping[str, Interval], served: str) -> list[str]:
    return [
        f"more of its summaries are {metric.replace('_', ' ')} than of those of {served}: "
        f"{_format_difference(differences[metric])}"
        for metric in HARM_METRICS
        if differences[metric].low > 0
    ]


def _format_difference(interval: Interval) -> str:
    return f"difference {interval}, 95% interval"
