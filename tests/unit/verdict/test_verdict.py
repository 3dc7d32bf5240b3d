"""Verdicts: what is wrong with a summary, by its conversation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aftercall.conversation import Turn
from worker.verdict.risk import load_risk
from worker.verdict.rules import is_degenerate
from worker.verdict.verdict import ORDER, Circumstances, Confidence, Verdict, judge, measure

ROAMING = (
    Turn("user", "I need 3 phones to work in Switzerland from 5 May. Is it included?"),
    Turn("agent", "Switzerland is included in all plans."),
    Turn("user", "Are you sure? My bill said otherwise."),
    Turn("agent", "Sorry, I was wrong. Switzerland is not included. A pass is £12 for 7 days."),
    Turn("user", "Then one pass please."),
    Turn("agent", "The pass is active from 5 May. I will call you back tomorrow."),
)
GOOD = (
    "The customer asked whether Switzerland is included from 5 May. It is not included, so the agent activated a £12 "
    "pass for 7 days and will call back tomorrow."
)


def reasons(summary: str, turns: tuple[Turn, ...] = ROAMING, circumstances: Circumstances | None = None) -> set[str]:
    return set(measure(turns, summary, circumstances or Circumstances()).reasons)


def test_a_faithful_summary_has_no_reason_and_less_risk_than_a_false_one() -> None:
    assert reasons(GOOD) == set()
    false = "The customer asked about Switzerland. Agent updated that Switzerland is included in all plans."
    assert judge(ROAMING, GOOD).risk < judge(ROAMING, false).risk


@pytest.mark.parametrize(
    ("summary", "reason"),
    [
        (GOOD.replace("£12", "£21"), "number"),
        (GOOD.replace("£12", "$12"), "currency"),
        ("The customer asked about Switzerland. The customer will call back tomorrow about the £12 pass.", "actor"),
        ("The agent asked whether 3 phones work in Switzerland from 5 May and whether it is included.", "actor"),
        ("The customer asked about roaming. The agent said they would look into it.", "empty_talk"),
        ("Der Kunde wollte wissen, ob die Schweiz in dem Tarif ist und nicht extra kostet.", "language"),
    ],
)
def test_a_fault_is_named(summary: str, reason: str) -> None:
    assert reason in reasons(summary)


def test_a_number_that_was_corrected_later_is_taken_back() -> None:
    turns = (
        Turn("user", "please send it to number 14"),
        Turn("agent", "To number 14, fine."),
        Turn("user", "sorry, I meant number 41"),
        Turn("agent", "Changed, it goes out today."),
    )
    assert "taken_back" in reasons("The customer wanted it sent to number 14.", turns)
    assert "taken_back" not in reasons("The customer wanted it sent to number 41.", turns)


def test_a_denial_that_the_conversation_affirms_is_a_flipped_negation() -> None:
    turns = (Turn("user", "was my refund approved"), Turn("agent", "Your refund was approved yesterday morning."))
    assert "negation" in reasons("The refund was not approved yesterday morning.", turns)
    assert "negation" not in reasons("The refund was approved yesterday morning.", turns)


def test_an_agents_act_where_no_agent_wrote_is_named() -> None:
    turns = (Turn("user", "My parcel 4471 has been stuck in Leeds since Monday."),)
    assert {"no_agent", "one_sided"} <= reasons("Parcel 4471 is stuck in Leeds. The agent promised a refund.", turns)
    assert "no_agent" not in reasons("Parcel 4471 is stuck in Leeds. No agent replied.", turns)


def test_how_it_was_written_counts() -> None:
    guessed = Confidence(mean_logprob=-1.0, min_logprob=-4.0, max_entropy=3.0, fact_logprob=-4.0)
    circumstances = Circumstances(coverage=0.5, is_cut=True, is_readable=False, confidence=guessed)
    assert {"coverage", "cut", "fields_unreadable", "low_confidence"} == reasons(GOOD, circumstances=circumstances)
    assert judge(ROAMING, GOOD, circumstances).needs_review


def test_each_sentence_has_the_turns_that_support_it() -> None:
    verdict = judge(ROAMING, "A pass is £12 for 7 days. Purple elephants dance gracefully.")
    assert verdict.evidence[0][0] == 4
    assert verdict.evidence[1] == ()
    assert "no_evidence" in verdict.reasons


@pytest.mark.parametrize(
    ("text", "is_loop"),
    [
        ("1" * 40, True),
        ("the code is 1 1 1 1 1 1 1 1", True),
        ("the agent said that the agent said that the agent said that the agent said that", True),
        (GOOD, False),
        ("Order 1111111 was lost.", False),
    ],
)
def test_loops_are_found(text: str, is_loop: bool) -> None:
    assert is_degenerate(text) == is_loop


turns = st.lists(st.builds(Turn, st.sampled_from(["user", "agent"]), st.text()), max_size=6).map(tuple)


@given(turns, st.text())
def test_any_text_has_a_verdict(conversation: tuple[Turn, ...], summary: str) -> None:
    verdict = judge(conversation, summary)
    assert isinstance(verdict, Verdict)
    assert 0 <= verdict.risk <= 1
    assert set(verdict.reasons) <= {*ORDER, "risk"}
    assert all(1 <= turn <= len(conversation) for each in verdict.evidence for turn in each)


def test_the_shipped_risk_says_how_much_is_behind_it() -> None:
    assert load_risk().n >= 1000
    assert set(load_risk().weights) & set(ORDER)


BROADBAND = (
    Turn("user", "I want to move my broadband on 5 May. What will it cost?"),
    Turn("agent", "It stays at £31 a month, and there is no activation fee."),
)
STUCK = (Turn("user", "My parcel 4471 has been stuck in Leeds since Monday. Hello? Is anyone reading this?"),)
PIZZA = (Turn("user", "Best pizza in town, thank you all!"), Turn("agent", "You made our day! See you soon."))
CRASH = (
    Turn("user", "my running app keeps crashing when I finish a run"),
    Turn("agent", "We can help you better by phone. Please call 18005550147 8a5p PT, MF when you can."),
)


@pytest.mark.parametrize(
    ("turns", "summary", "named"),
    [
        (BROADBAND, "The customer moves on 5 May. It stays at £31 a month without an activation fee.", set()),
        (BROADBAND, "The customer moves on 4 May. It stays at £31 a month.", {"number", "date"}),
        (BROADBAND, "The customer moves on 5 May. It costs $31 a month.", {"currency"}),
        (STUCK, "Parcel 4471 has been stuck in Leeds since Monday. No agent replied.", {"one_sided"}),
        (STUCK, "Parcel 4471 has been stuck. Agent updated that it is in Leeds.", {"one_sided", "no_agent"}),
        (PIZZA, "The customer thanked everyone for the best pizza in town.", set()),
        (CRASH, "The running app crashes at the end of a run. The agent asked for a call to 18005550147.", set()),
        (CRASH, "The running app crashes at the end of a run. The agent will call 18005550147.", {"actor"}),
    ],
)
def test_small_cases(turns: tuple[Turn, ...], summary: str, named: set[str]) -> None:
    assert reasons(summary, turns) == named
