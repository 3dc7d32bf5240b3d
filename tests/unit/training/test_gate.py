"""The gate: who passes, who does not, and how sure it is."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aftercall.errors import AdapterError
from tests.unit.training.examples import make_example
from training.judge.bootstrap import compare
from training.judge.judgement import Judgement, judge, load_judgement, save_judgement
from training.registry.gate import compare_at_gate

EXAMPLES = [make_example(str(number), "Customer asks where the order is. Agent apologizes.") for number in range(20)]
GOOD = "Customer asks where the order is. Agent apologizes."
FAIR = "Customer asks about an order. Agent apologizes."


def judged(name: str, summaries: Sequence[str]) -> Judgement:
    return judge(name, summaries, EXAMPLES)


def test_a_better_adapter_passes_with_its_interval() -> None:
    report = compare_at_gate(judged("new", [GOOD] * 20), judged("old", [FAIR] * 20))
    assert report.is_passed
    assert report.differences["rouge_average"].low > 0


def test_the_same_summaries_pass() -> None:
    assert compare_at_gate(judged("new", [FAIR] * 20), judged("old", [FAIR] * 20)).is_passed


def test_a_worse_adapter_is_refused_with_figures() -> None:
    report = compare_at_gate(judged("new", [GOOD] * 10 + [FAIR] * 10), judged("old", [GOOD] * 20))
    assert not report.is_passed
    assert report.refusals[0].startswith("its ROUGE is lower by ")
    assert "95% interval" in report.refusals[0]


def test_more_invented_facts_are_refused_even_at_better_rouge() -> None:
    invented = f"{GOOD} It is number 4711."
    report = compare_at_gate(judged("new", [invented] * 20), judged("old", ["Late."] * 20))
    assert report.differences["rouge_average"].mean > 0
    assert [refusal.split(",")[0] for refusal in report.refusals] == ["more of its summaries are unsupported"]


def test_judgements_of_different_data_are_not_compared() -> None:
    ours = judged("new", [GOOD] * 20)
    with pytest.raises(AdapterError, match=r"judged on different conversations\. Run `aftercall evaluate`"):
        compare_at_gate(ours, replace(ours, data_digest="other"))


def test_a_judgement_is_read_back_as_it_was_kept(tmp_path: Path) -> None:
    judgement = replace(judged("new", [GOOD] * 19 + ["Order 4711."]), written_as="quantization none, float32")
    path = tmp_path / "evaluation.json"
    save_judgement(path, judgement, {"eval_loss": 1.5})
    assert load_judgement(path) == judgement


def test_what_was_written_otherwise_is_not_compared() -> None:
    ours = judged("new", [GOOD] * 20)
    kept = replace(judged("old", [FAIR] * 20), written_as="quantization none, float32")
    assert kept.is_comparable(ours)
    assert kept.is_comparable(replace(ours, written_as=kept.written_as))
    assert not kept.is_comparable(replace(ours, written_as="quantization nf4, bfloat16"))
    assert not kept.is_comparable(replace(ours, data_digest="other"))


def test_a_judgement_of_before_is_read_and_comparable(tmp_path: Path) -> None:
    path = tmp_path / "evaluation.json"
    save_judgement(path, judged("old", [FAIR] * 20), {})
    document = json.loads(path.read_text())
    del document["written_as"]
    path.write_text(json.dumps(document))
    ours = replace(judged("new", [GOOD] * 20), written_as="quantization nf4, bfloat16")
    assert load_judgement(path).is_comparable(ours)


def test_an_adapter_without_a_judgement_is_told_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match=r"has not been judged\. Run `aftercall evaluate"):
        load_judgement(tmp_path / "evaluation.json")
    (tmp_path / "evaluation.json").write_text('{"name": "x"}')
    with pytest.raises(AdapterError, match=r"is not a judgement .* Run `aftercall evaluate` again"):
        load_judgement(tmp_path / "evaluation.json")


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), min_size=1, max_size=12))
def test_an_interval_holds_its_mean_and_turns_with_its_sides(pairs: list[tuple[float, float]]) -> None:
    ours, theirs = zip(*pairs, strict=True)
    there, back = compare(ours, theirs), compare(theirs, ours)
    assert there.low - 1e-9 <= there.mean <= there.high + 1e-9
    assert (there.mean, there.low, there.high) == pytest.approx((-back.mean, -back.high, -back.low))


def test_an_interval_is_narrower_with_more_pairs() -> None:
    few, many = (compare([1.0, 3.0] * number, [0.0, 0.0] * number) for number in (5, 200))
    assert many.high - many.low < (few.high - few.low) / 3
