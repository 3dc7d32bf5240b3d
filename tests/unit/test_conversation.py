"""Turns as text and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aftercall.conversation import Conversation, Turn, parse_turns, render_turns

turns = st.lists(st.builds(Turn, st.sampled_from(["user", "agent"]), st.text().filter(lambda text: "\n" not in text)))


@given(turns)
def test_parsing_is_the_inverse_of_rendering(turns: list[Turn]) -> None:
    assert list(parse_turns(render_turns(turns))) == turns


def test_a_conversation_reads_as_the_recipe_has_it() -> None:
    conversation = Conversation("C-1", (Turn("user", "Where is my order?"), Turn("agent", "On its way: today.")))
    assert conversation.text == "user: Where is my order?\nagent: On its way: today.\n"


@pytest.mark.parametrize("text", ["hello\n", "customer: hello\n", "user:hello\n", "\n", "user: a\nb\n"])
def test_a_line_without_a_speaker_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected 'user: …' or 'agent: …'"):
        parse_turns(text)
