"""Completions of profiles with fields: the line format, read and written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aftercall.conversation import Turn
from aftercall.fields import NO_AGENT, Fields, read_completion, say_no_answer, write_completion
from aftercall.profile import REASONS, RESOLUTIONS, TWEETSUMM, load_profile

SERVICE = load_profile("service-1")
ANSWERED = (Turn("user", "my kettle is cracked"), Turn("agent", "a new one comes on Friday"))
UNANSWERED = ANSWERED[:1]

prose = st.text(st.characters(codec="utf-8", exclude_characters="=#-"), min_size=1).filter(str.strip)
lines = st.lists(prose.map(lambda text: " ".join(text.split())).filter(bool), min_size=1, max_size=3)


def test_lines_and_labels_become_text_and_fields() -> None:
    written = read_completion(
        "The kettle was cracked.\nA new one was sent.\nIt arrives on Friday.\n= quality, follow_up", SERVICE, ANSWERED
    )
    assert written.text == "The kettle was cracked. A new one was sent. It arrives on Friday."
    assert written.fields == Fields(
        issue="The kettle was cracked.",
        action="A new one was sent.",
        follow_up="It arrives on Friday.",
        resolution="follow_up",
        reason="quality",
    )
    assert written.is_readable


@given(lines, st.sampled_from(REASONS), st.sampled_from([each for each in RESOLUTIONS if each != "no_answer"]))
def test_what_is_written_is_read_back(parts: list[str], reason: str, resolution: str) -> None:
    written = read_completion(write_completion(parts, reason, resolution), SERVICE, ANSWERED)
    assert written.text == " ".join(" ".join(parts).replace("\0", " ").split())
    assert (written.fields.reason, written.fields.resolution) == (reason, resolution)


@given(st.text())
def test_no_completion_is_unreadable_to_the_reader(completion: str) -> None:
    for turns in (ANSWERED, UNANSWERED):
        written = read_completion(completion, SERVICE, turns)
        assert written.fields.reason in (None, *REASONS)
        assert written.fields.resolution in (None, *RESOLUTIONS)
        assert "\n" not in written.text


@pytest.mark.parametrize(
    ("labels", "reason", "resolution", "is_readable"),
    [
        ("= quality, resolved", "quality", "resolved", True),
        ("= Quality; Follow-up.", "quality", "follow_up", True),
        ("= resolved, quality", "quality", "resolved", True),
        ("= quality", "quality", None, False),
        ("= kettles, resolved", None, "resolved", False),
        ("", None, None, False),
    ],
)
def test_labels_are_read_with_tolerance(
    labels: str, reason: str | None, resolution: str | None, is_readable: bool
) -> None:
    written = read_completion(f"The kettle was cracked.\n{labels}", SERVICE, ANSWERED)
    assert (written.fields.reason, written.fields.resolution) == (reason, resolution)
    assert written.is_readable == is_readable
    assert written.text == "The kettle was cracked."


def test_a_label_knows_where_it_stands_in_the_completion() -> None:
    completion = "The kettle was cracked.\n= quality, resolved"
    written = read_completion(completion, SERVICE, ANSWERED)
    assert written.reason is not None
    assert completion[written.reason.start : written.reason.end] == "quality"


def test_an_empty_second_line_keeps_the_third_in_its_place() -> None:
    completion = write_completion(["The kettle was cracked.", "", "The customer waits."], "quality", "follow_up")
    assert read_completion(completion, SERVICE, ANSWERED).fields == Fields(
        issue="The kettle was cracked.",
        follow_up="The customer waits.",
        resolution="follow_up",
        reason="quality",
    )


def test_without_an_agents_turn_no_agent_replied_whatever_the_model_says() -> None:
    invented = "The kettle was cracked.\nThe agent sent a new one.\n= quality, resolved"
    written = read_completion(invented, SERVICE, UNANSWERED)
    assert written.text == f"The kettle was cracked. {NO_AGENT}"
    assert written.fields.action is None
    assert written.fields.resolution == "no_answer"
    assert read_completion("Great kettles.\n= other, no_issue", SERVICE, UNANSWERED).fields.resolution == "no_issue"
    plain = "The kettle was cracked. Agent updated that a new one was sent."
    assert read_completion(plain, TWEETSUMM, UNANSWERED).text == f"The kettle was cracked. {NO_AGENT}"


def test_an_answer_that_never_came_is_said_once() -> None:
    assert say_no_answer("The kettle was cracked. No one replied.") == f"The kettle was cracked. {NO_AGENT}"
