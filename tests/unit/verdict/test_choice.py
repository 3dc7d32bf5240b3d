"""Which of several completions is kept."""

from aftercall.conversation import Turn
from worker.verdict.choice import choose
from worker.verdict.verdict import judge

TURNS = (
    Turn("user", "My parcel 5512 has not come. I paid £40 for it."),
    Turn("agent", "It is at the depot. We can deliver it on Friday."),
    Turn("user", "No, I want my money back."),
    Turn("agent", "I have refunded £40 to your card. It takes 3 days."),
)
OUTCOME = (
    "Parcel 5512 has not come, and the customer wanted the money back. The agent refunded £40, which takes 3 days."
)
EARLY = "Parcel 5512 has not come, and the customer paid £40. The agent said that the parcel is at the depot."
FALSE = "Parcel 5512 has not come, and the customer wanted the money back. The agent refunded £90, which takes 8 days."


def choose_text(*texts: str) -> str:
    return texts[choose(texts, [judge(TURNS, text) for text in texts])]


def test_the_end_counts_more_than_an_earlier_offer() -> None:
    assert choose_text(EARLY, OUTCOME) == OUTCOME


def test_numbers_that_nobody_said_count_against_a_completion() -> None:
    assert choose_text(FALSE, OUTCOME) == OUTCOME


def test_what_the_others_agree_with_wins_over_a_stray() -> None:
    stray = "The customer was happy with the kettle and wanted to know the opening hours of the shop."
    assert choose_text(stray, EARLY, EARLY) == EARLY


def test_the_first_of_equal_ones_is_kept() -> None:
    assert choose([OUTCOME, OUTCOME], [judge(TURNS, OUTCOME)] * 2) == 0
    assert choose([OUTCOME], [judge(TURNS, OUTCOME)]) == 0
