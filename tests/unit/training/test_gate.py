"""The gate: which adapters pass, which do not, and the intervals it reports."""

import json
import random
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aftercall.errors import AdapterError
from tests.unit.training.examples import make_example
from training.data.dataset import Example
from training.judge.baselines import CONSTANT, with_baselines
from training.judge.bootstrap import compare, small_sample_factor, student_quantile
from training.judge.judgement import Judgement, judge, load_judgement, save_judgement
from training.registry.gate import compare_at_gate

EXAMPLES = [make_example(str(number), "Customer asks where the order is. Agent apologizes.") for number in range(40)]
GOOD = "Customer asks where the order is. Agent apologizes."
FAIR = "Customer asks about an order. Agent apologizes."


def judged(name: str, summaries: Sequence[str], examples: Sequence[Example] = EXAMPLES) -> Judgement:
    return with_baselines(judge(name, summaries, examples), examples)


def test_a_better_adapter_passes_with_its_interval() -> None:
    report = compare_at_gate(judged("new", [GOOD] * 40), judged("old", [FAIR] * 40))
    assert report.is_passed
    assert report.differences["rouge_average"].low > 0


def test_a_tie_is_refused_unless_allowed() -> None:
    ours, theirs = judged("new", [FAIR] * 40), judged("old", [FAIR] * 40)
    assert compare_at_gate(ours, theirs, "adapter old").refusals == (
        "its ROUGE is not surely higher than that of adapter old: difference +0.00 (+0.00 to +0.00), 95% interval "
        "(--allow-tie accepts that)",
    )
    assert compare_at_gate(ours, theirs, allows_tie=True).is_passed


def test_a_gain_within_the_interval_is_a_tie() -> None:
    mixed = judged("new", [GOOD, FAIR] * 20)
    other = judged("old", [FAIR, GOOD] * 19 + [FAIR, FAIR])
    report = compare_at_gate(mixed, other)
    assert report.differences["rouge_average"].mean > 0
    assert "not surely higher" in report.refusals[0]
    assert compare_at_gate(mixed, other, allows_tie=True).is_passed


def test_a_worse_adapter_is_refused_with_figures() -> None:
    report = compare_at_gate(judged("new", [GOOD] * 20 + [FAIR] * 20), judged("old", [GOOD] * 40), allows_tie=True)
    (refusal,) = report.refusals
    assert re.fullmatch(
        r"its ROUGE is lower than that of what is served now: difference -\d+\.\d\d \(.*\), 95% interval", refusal
    )


def test_more_invented_facts_are_refused_even_at_better_rouge() -> None:
    invented = f"{GOOD} It is number 4711."
    report = compare_at_gate(judged("new", [invented] * 40), judged("old", ["Late."] * 40))
    assert report.differences["rouge_average"].mean > 0
    assert [refusal.split(":")[0] for refusal in report.refusals] == [
        "more of its summaries are unsupported than of those of what is served now"
    ]


@pytest.mark.parametrize("num_conversations", [1, 2, 29])
def test_few_conversations_promote_nothing(num_conversations: int) -> None:
    examples = EXAMPLES[:num_conversations]
    good, fair = (judged(name, [name] * num_conversations, examples) for name in (GOOD, FAIR))
    report = compare_at_gate(good, fair, allows_tie=True)
    assert report.num_conversations == num_conversations
    assert report.refusals[0] == (
        f"it was judged on n={num_conversations} held-out conversations, and the gate needs 30"
    )


def test_garbage_on_one_held_out_conversation_is_refused_for_every_reason() -> None:
    """The seed promoted this: ROUGE 0.0, an invented number, and an interval of +0.00 to +0.00."""
    garbage = judged("new", ["zzz 4711 4711 zzz"], EXAMPLES[:1])
    report = compare_at_gate(garbage, judged("old", ["zzz"], EXAMPLES[:1]), allows_tie=True)
    assert "n=1 held-out" in report.refusals[0]
    assert "does not beat the baseline 'first turns'" in report.refusals[1]
    assert "does not beat the baseline 'constant sentence'" in report.refusals[2]
    assert str(report.differences["rouge_average"]) == "+0.00 (no interval: one conversation)"


def test_an_adapter_no_better_than_the_constant_sentence_is_refused() -> None:
    report = compare_at_gate(judged("new", [CONSTANT] * 40), judged("old", ["zzz"] * 40))
    refusals = [refusal.split(":")[0] for refusal in report.refusals]
    assert "its ROUGE does not beat the baseline 'constant sentence'" in refusals


def test_a_judgement_without_baselines_has_to_be_made_again() -> None:
    old_file = replace(judged("abc", [GOOD] * 40), baselines={})
    (refusal,) = compare_at_gate(old_file, judged("old", [FAIR] * 40)).refusals
    assert "(run `aftercall evaluate abc` again)" in refusal


def test_judgements_of_different_data_are_not_compared() -> None:
    ours = judged("new", [GOOD] * 40)
    with pytest.raises(AdapterError, match=r"judged on different conversations\. Run `aftercall evaluate`"):
        compare_at_gate(ours, replace(ours, data_digest="other"))


def test_a_stored_judgement_is_read_back_unchanged(tmp_path: Path) -> None:
    judgement = replace(judged("new", [GOOD] * 39 + ["Order 4711."]), written_as="quantization none, float32")
    path = tmp_path / "evaluation.json"
    save_judgement(path, judgement, {"eval_loss": 1.5})
    assert load_judgement(path) == judgement


def test_judgements_with_different_settings_are_not_comparable() -> None:
    ours = judged("new", [GOOD] * 40)
    kept = replace(judged("old", [FAIR] * 40), written_as="quantization none, float32")
    assert kept.is_comparable(ours)
    assert kept.is_comparable(replace(ours, written_as=kept.written_as))
    assert not kept.is_comparable(replace(ours, written_as="quantization nf4, bfloat16"))
    assert not kept.is_comparable(replace(ours, data_digest="other"))


def test_a_judgement_without_settings_is_read_and_comparable(tmp_path: Path) -> None:
    path = tmp_path / "evaluation.json"
    save_judgement(path, judged("old", [FAIR] * 40), {})
    document = json.loads(path.read_text())
    del document["written_as"]
    path.write_text(json.dumps(document))
    ours = replace(judged("new", [GOOD] * 40), written_as="quantization nf4, bfloat16")
    assert load_judgement(path).is_comparable(ours)


def test_an_adapter_without_a_judgement_is_told_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match=r"has not been judged\. Run `aftercall evaluate"):
        load_judgement(tmp_path / "evaluation.json")
    (tmp_path / "evaluation.json").write_text('{"name": "x"}')
    with pytest.raises(AdapterError, match=r"is not a judgement .* Run `aftercall evaluate` again"):
        load_judgement(tmp_path / "evaluation.json")


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), min_size=1, max_size=12))
def test_an_interval_contains_its_mean_and_is_antisymmetric(pairs: list[tuple[float, float]]) -> None:
    ours, theirs = zip(*pairs, strict=True)
    there, back = compare(ours, theirs), compare(theirs, ours)
    assert there.low - 1e-9 <= there.mean <= there.high + 1e-9
    assert (there.mean, there.low, there.high) == pytest.approx((-back.mean, -back.high, -back.low))


def test_an_interval_is_narrower_with_more_pairs() -> None:
    few, many = (compare([1.0, 3.0] * number, [0.0, 0.0] * number) for number in (5, 200))
    assert many.high - many.low < (few.high - few.low) / 3


@pytest.mark.parametrize(("degrees", "quantile"), [(1, 12.706), (2, 4.303), (3, 3.182), (9, 2.262), (29, 2.045)])
def test_the_quantiles_are_those_of_students_table(degrees: int, quantile: float) -> None:
    assert student_quantile(degrees) == pytest.approx(quantile, rel=2e-3)


def test_intervals_of_few_conversations_cover_the_truth_as_often_as_they_say() -> None:
    """Percentiles alone cover about 90% at n=10; widened, they have to cover about 95%."""
    generator = random.Random(1)
    covered = percentiles_covered = 0
    for _ in range(400):
        values = [generator.gauss(1.0, 5.0) for _ in range(10)]
        interval = compare(values, [0.0] * 10)
        factor = small_sample_factor(10)
        covered += interval.low <= 1.0 <= interval.high
        low, high = (interval.mean + (bound - interval.mean) / factor for bound in (interval.low, interval.high))
        percentiles_covered += low <= 1.0 <= high
    assert percentiles_covered < 0.925 * 400
    assert covered > 0.93 * 400
