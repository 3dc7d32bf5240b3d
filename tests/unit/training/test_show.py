"""What an evaluation prints under its table."""

from collections.abc import Sequence

import pytest

from tests.unit.training.examples import make_example
from training import show
from training.judge.baselines import judge_baselines
from training.judge.evaluate import Evaluation
from training.judge.judgement import judge
from training.judge.loss import ReferenceLoss
from worker.loading.load import ModelProvenance

ON_PEOPLE = "people: each conversation's first summary against the others, so its best is over one reference fewer\n"


def print_evaluation(references: Sequence[str]) -> None:
    examples = [make_example(str(number), *references) for number in range(3)]
    ours = judge("ours", ["Customer waits."] * 3, examples)
    provenance = ModelProvenance("tiny", "digest", "none", "float32", "", None, is_adapter_merged=False)
    judged = {"this adapter": ours} | {each.name: each for each in judge_baselines(examples)}
    show.evaluation(Evaluation(ours, ReferenceLoss((3.0,), (3,)), 1.0, provenance), judged)


def test_the_table_notes_that_people_have_one_reference_fewer(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    print_evaluation(["Customer waits.", "Customer complains."])
    assert ON_PEOPLE in capsys.readouterr().out


def test_people_are_not_mentioned_without_several_references(capsys: pytest.CaptureFixture[str]) -> None:
    print_evaluation(["Customer waits."])
    assert "this adapter" in (printed := capsys.readouterr().out)
    assert "people" not in printed
