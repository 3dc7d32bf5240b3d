"""ROUGE and the baselines that every adapter is compared with."""

import pytest

from aftercall.conversation import Conversation, Turn
from tests.unit.training.examples import make_example
from training.judge.baselines import judge_baselines, write_lead
from training.judge.rouge import score_pair, score_references


def test_rouge_is_stemmed_f1() -> None:
    assert score_pair("The customer complained.", "the customers complain").mean == 1
    half = score_pair("customer asks", "customer waits")
    assert (half.rouge1, half.rouge2, half.rouge_l) == (0.5, 0, 0.5)


def test_best_and_average_over_references() -> None:
    scores = score_references("customer asks", ["customer asks", "agent waits"])
    assert (scores.best.rouge1, scores.average.rouge1) == (1, 0.5)


def test_people_are_compared_with_the_others_only() -> None:
    same = make_example("a", "Late order.", "Late order.")
    alone = make_example("b", "Late order.", user="another")
    people = judge_baselines([same, alone])[0]
    assert [verdict.conversation_id for verdict in people.verdicts] == ["a"]
    assert people.means()["rouge1_average"] == pytest.approx(100)
    assert [judgement.name for judgement in judge_baselines([alone])] == ["first turns", "constant sentence"]


def test_the_lead_is_both_speakers_first_words() -> None:
    turns = (Turn("user", "one " * 30), Turn("agent", "two"), Turn("user", "three"))
    assert write_lead(Conversation("a", turns)) == "one " * 16 + "two"
    assert write_lead(Conversation("a", (Turn("agent", "hello"),))) == "hello"


def test_all_baselines_are_judged_on_the_same_conversations() -> None:
    examples = [make_example("a", "Late.", "Order late."), make_example("b", "Lost.", "Order lost.", user="lost it")]
    judged = judge_baselines(examples)
    assert [judgement.name for judgement in judged] == ["people", "first turns", "constant sentence"]
    assert {len(judgement.verdicts) for judgement in judged} == {2}
