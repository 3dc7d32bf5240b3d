"""Facts in one spelling, and which of them a conversation holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.verdict.facts import find_facts, read_value
from worker.verdict.support import find_unsupported


def missing(summary: str, source: str) -> set[str]:
    return set(find_unsupported(find_facts(summary), find_facts(source), is_same_language=True))


@pytest.mark.parametrize(
    ("summary", "source"),
    [
        ("It cost £12.", "that's twelve pounds"),
        ("It cost 12 pounds.", "£12.00 please"),
        ("It cost £1,999.", "1999 pounds"),
        ("It cost 179 pounds.", "one hundred and seventy-nine pounds"),
        ("It moved to 5 May.", "on May 5th"),
        ("It moved to 5 May.", "05/05 then"),
        ("It moved to the 19th.", "on the nineteenth"),
        ("He waits until 17:00.", "until 5 pm"),
        ("He comes at 9.30.", "at nine thirty"),
        ("Order 44077 was lost.", "it's four four zero, uh, seven seven"),
        ("Claim AX-190 was opened.", "your claim is AX190"),
        ("Anna's kettle broke.", "this is anna"),
        ("Siobhan sent it to Malaga.", "Siobhán here, to Málaga"),
        ("He comes on Friday.", "freitag passt"),
    ],
)
def test_one_fact_in_two_spellings_is_supported(summary: str, source: str) -> None:
    assert missing(summary, source) == set()


@pytest.mark.parametrize(
    ("summary", "source", "kind"),
    [
        ("He bought 2 mugs.", "25 mugs", "number"),
        ("The customer, Ann, wrote.", "Anna wrote", "name"),
        ("It moved to 4 March.", "on 14 March", "number"),
        ("It costs $31 a month.", "£31 a month", "currency"),
        ("It comes in June.", "in July", "date"),
        ("It comes on Friday.", "on Monday", "date"),
        ("Claim AX-191 was opened.", "claim AX-190", "code"),
        ("See https://example.com/a.", "see https://example.com/b", "link"),
    ],
)
def test_a_fact_of_the_summary_alone_is_named(summary: str, source: str, kind: str) -> None:
    assert kind in missing(summary, source)


@given(st.integers(0, 10**9), st.integers(0, 99))
def test_figures_are_read_with_marks_of_either_kind(whole: int, cents: int) -> None:
    fraction = f"{cents:02}".rstrip("0")
    value = f"{whole}.{fraction}" if fraction else str(whole)
    english = f"{whole:,}.{cents:02}"
    german = english.translate(str.maketrans(",.", ".,"))
    assert read_value(english) == read_value(german) == value


@given(st.text())
def test_any_text_has_facts_and_supports_itself(text: str) -> None:
    assert missing(text, text) == set()
