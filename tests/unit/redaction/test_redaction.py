"""Redaction of whole conversations: the same value everywhere under the same placeholder, and nothing else changed."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from aftercall.conversation import Turn, render_turns
from aftercall.redaction import (
    Mode,
    add_version,
    count_placeholders,
    read_mode,
    redact_summary,
    redact_turns,
    redact_with_texts,
)
from aftercall.redaction.kinds import PLACEHOLDER
from aftercall.redaction.redactor import Redactor, needs_redaction
from bench.redaction import TEXTS, read_marked

#: Real texts with personal data, and hard ones without.
MARKED = [each.text for name in ("standard", "strict", "negatives") for each in read_marked(TEXTS / f"{name}.txt")]

MODES: st.SearchStrategy[Mode] = st.sampled_from(("standard", "strict"))
#: Texts that look a bit like what is redacted, so that detectors meet in odd ways.
PIECES = st.one_of(
    st.sampled_from(MARKED),
    st.text(alphabet="0123456789 -.()/+[]_:@abEMAILPINpassword", max_size=40),
    st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), max_size=15),
    st.sampled_from(["[EMAIL_1]", "[SECRET_1]", "[PHONE_2]", "my password is", "PIN", "call me at", "order"]),
)
TEXTS_OF_TURNS = st.lists(PIECES, min_size=1, max_size=4).map(" ".join)


def conversation(*texts: str) -> list[Turn]:
    return [Turn("agent" if number % 2 else "user", text) for number, text in enumerate(texts)]


def redacted(*texts: str, mode: Mode = "standard") -> list[str]:
    return [turn.text for turn in redact_turns(conversation(*texts), mode)]


def test_the_same_value_has_the_same_placeholder_across_turns_and_another_one_another() -> None:
    assert redacted(
        "I am kate@example.com and wrote to tom@example.com",
        "Is Tom@Example.com your colleague?",
        "yes, kate@example.com is me. Call +44 20 7946 0958 or +44-20-7946-0958",
    ) == [
        "I am [EMAIL_1] and wrote to [EMAIL_2]",
        "Is [EMAIL_2] your colleague?",
        "yes, [EMAIL_1] is me. Call [PHONE_1] or [PHONE_1]",
    ]


def test_a_value_that_is_named_only_later_is_redacted_in_earlier_turns_too() -> None:
    assert redacted("hello 4155552671 here", "what is that?", "my phone number is 4155552671") == [
        "hello [PHONE_1] here",
        "what is that?",
        "my phone number is [PHONE_1]",
    ]


def test_the_answer_to_a_question_for_a_code_is_a_secret() -> None:
    assert redacted("hi", "Which verification code did you get?", "482913")[2] == "[SECRET_1]"
    assert redacted("hi", "Wie lautet Ihr Kennwort?", "es ist Blume77")[2] == "es ist [SECRET_1]"
    assert redacted("hi", "Which size do you need?", "482913")[2] == "482913"


def test_digits_and_dashes_of_other_scripts_hide_nothing() -> None:
    assert redacted("card ４１１１ １１１１ １１１１ １１１１, call 212–555–0123, mail a＠example.com") == [
        "card [CARD_1], call [PHONE_1], mail [EMAIL_1]"
    ]


def test_a_placeholder_that_a_customer_writes_is_never_given_to_a_value() -> None:
    first, second = redacted("[EMAIL_1] is what I see, and [EMAIL_3]", "a@example.com and b@example.com")
    assert first == "[EMAIL_1] is what I see, and [EMAIL_3]"
    assert second == "[EMAIL_2] and [EMAIL_4]"


def test_off_changes_nothing() -> None:
    turns = conversation("a@example.com", "PIN: 1234")
    assert redact_turns(turns, "off") == tuple(turns)


def test_the_version_says_how_it_was_redacted_and_off_keeps_the_cleaners() -> None:
    assert [add_version("2", mode) for mode in ("off", "standard", "strict")] == ["2", "2+r1s", "2+r1x"]
    assert [read_mode(version) for version in ("2", "2+r1s", "2+r1x")] == ["off", "standard", "strict"]


def test_a_summary_that_leaks_is_redacted_again() -> None:
    sent = "user: my mail is [EMAIL_1], order number 4155552671 is late\n"
    summary = "Customer of [EMAIL_1] asks for order 4155552671. Agent wrote to tom@example.com, PIN: 4821."
    assert redact_summary(summary, sent, "2+r1s") == (
        "Customer of [EMAIL_1] asks for order 4155552671. Agent wrote to [EMAIL], PIN: [SECRET]."
    )
    assert redact_summary(summary, sent, "2") == summary


def test_what_the_conversation_holds_as_it_was_sent_stays_in_the_summary() -> None:
    sent = "user: order number 555-123-4567 is late\n"
    assert redact_summary("Call 555-123-4567.", sent, "2+r1s") == "Call 555-123-4567."


def test_references_to_learn_from_have_the_placeholders_of_their_conversation() -> None:
    turns, references = redact_with_texts(
        conversation("write to kate@example.com"), ["Customer is kate@example.com, not tom@example.com."], "standard"
    )
    assert turns[0].text == "write to [EMAIL_1]"
    assert references == ("Customer is [EMAIL_1], not [EMAIL].",)


def test_references_are_searched_for_what_their_conversation_does_not_hold() -> None:
    turns = (Turn("user", "Please call me."), Turn("agent", "I will call you tomorrow."))
    _, references = redact_with_texts(turns, ["The agent will write to jane.doe@example.com."], "standard")
    assert references == ("The agent will write to [EMAIL].",)


def test_placeholders_are_counted_by_kind() -> None:
    text = "user: [EMAIL_1] [EMAIL_1] [EMAIL_2] [PHONE_1] [NOTHING_1]\n"
    assert count_placeholders(text) == {"EMAIL": 2, "PHONE": 1}


@settings(deadline=None)
@given(texts=st.lists(TEXTS_OF_TURNS, min_size=1, max_size=3), mode=MODES)
@example(texts=["my password is [EMAIL_1] a@example.com x1234"], mode="standard")
@example(texts=["PIN", "PIN 1234 1234 1234"], mode="strict")
def test_redacting_twice_is_redacting_once(texts: list[str], mode: Mode) -> None:
    once = redact_turns(conversation(*texts), mode)
    assert redact_turns(once, mode) == once


@settings(deadline=None)
@given(texts=st.lists(TEXTS_OF_TURNS, min_size=1, max_size=3), mode=MODES)
def test_only_spans_change_and_no_number_stands_for_two_values(texts: list[str], mode: Mode) -> None:
    turns = conversation(*texts)
    own = set(PLACEHOLDER.findall(render_turns(turns)))
    for before, after in zip(turns, redact_turns(turns, mode), strict=True):
        assert after.speaker == before.speaker
        # What stands between the placeholders stood there before, in this order.
        rest, place = PLACEHOLDER.split(after.text), 0
        for part in rest:
            place = before.text.index(part, place) + len(part)
        new = [name for name in PLACEHOLDER.findall(after.text) if name not in own]
        assert not new or after.text != before.text


@settings(deadline=None)
@given(text=TEXTS_OF_TURNS, mode=MODES)
def test_the_quick_look_lets_nothing_pass_that_would_be_redacted(text: str, mode: Mode) -> None:
    if not needs_redaction(text, mode):
        assert Redactor(mode).find(text) == []
        assert Redactor(mode, text).redact(text) == text


@given(
    st.text(alphabet=st.characters(exclude_categories=("Nd", "C")), max_size=200).filter(lambda text: "@" not in text)
)
def test_plain_words_are_never_changed(text: str) -> None:
    words = " ".join(word for word in text.split() if word.isalpha() and len(word) < 12)
    assert Redactor("standard").redact(f"the parcel is late {words}") == f"the parcel is late {words}"
