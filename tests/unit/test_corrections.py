"""What a correction must be, and how much of a summary it changed."""

import pytest

from aftercall.corrections import edit_share, find_problem

CONVERSATION = "user: where is my order\nagent: it arrives tomorrow\n"


@pytest.mark.parametrize(
    ("correction", "problem"),
    [
        ("ok then", "has fewer than 3 words"),
        ("word " * 400, "has 2,000 characters; a summary has at most 1,500"),
        ("it arrives tomorrow", "is copied from the conversation"),
        ("where is my order it arrives tomorrow", "is copied from the conversation"),
    ],
)
def test_what_is_no_summary_is_told(correction: str, problem: str) -> None:
    assert problem in (find_problem(correction, CONVERSATION) or "")


def test_a_summary_is_no_problem() -> None:
    assert find_problem("The order arrives tomorrow, says the agent.", CONVERSATION) is None


@pytest.mark.parametrize(
    ("summary", "correction", "share"),
    [
        ("a b c d", "a b c d", 0.0),
        ("a b c d", "a x c d", 0.25),
        ("a b c d", "a b c d e", 0.2),
        ("a b c d", "d", 0.75),
        ("a b", "x y z", 1.0),
        ("", "", 0.0),
        ("", "a b", 1.0),
    ],
)
def test_the_share_of_changed_words(summary: str, correction: str, share: float) -> None:
    assert edit_share(summary, correction) == pytest.approx(share)
