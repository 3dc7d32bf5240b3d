"""The prompt, the summary in a completion, and the cut to the context."""

from hypothesis import given
from hypothesis import strategies as st

from aftercall.conversation import Turn, parse_turns, render_turns
from aftercall.profile import TWEETSUMM
from aftercall.prompt import build_prompt, extract_summary, fit_turns

words = st.text(st.characters(codec="ascii", categories=["L"]), min_size=1, max_size=8)
turns = st.lists(
    st.builds(Turn, st.sampled_from(["user", "agent"]), st.lists(words, min_size=1, max_size=12).map(" ".join)),
    min_size=1,
    max_size=12,
)


def test_the_template_of_version_1_is_the_recipes_to_the_character() -> None:
    # Adapters are trained on exactly this: whoever changes it changes the version.
    assert TWEETSUMM.id == "1"
    assert build_prompt("user: hi\nagent: hello\n") == (
        "### Instruction: Below is a conversation between a human and an AI agent. "
        "Write a summary of the conversation.\n\n### Input:\nuser: hi\nagent: hello\n\n### Response:\n"
    )


def test_a_summary_ends_before_the_next_header_and_stands_on_one_line() -> None:
    assert extract_summary(" The customer asks.\nThe agent answers.  \n### Input: more") == (
        "The customer asks. The agent answers."
    )
    assert extract_summary("### Input: more") == ""


def test_hashes_inside_a_line_are_no_header() -> None:
    assert extract_summary("Order ###123 was lost.\n### Input") == "Order ###123 was lost."


@given(turns, st.integers(len("agent: x\n"), 300))
def test_an_excerpt_fits_keeps_the_ends_and_says_how_much_it_covers(turns: list[Turn], max_tokens: int) -> None:
    excerpt = fit_turns(turns, len, max_tokens)
    whole = render_turns(turns)
    kept = parse_turns(excerpt.text)

    assert len(excerpt.text) <= max_tokens
    assert excerpt.coverage == len(excerpt.text) / len(whole)
    assert (excerpt.coverage == 1.0) == (len(whole) <= max_tokens)
    if len(render_turns(turns[:1])) > max_tokens:
        assert len(kept) == 1
        assert turns[0].text.startswith(kept[0].text)
    else:
        num_first, num_last = (len(kept) + 1) // 2, len(kept) // 2
        assert list(kept) == turns[:num_first] + turns[len(turns) - num_last :]


@given(turns)
def test_room_for_all_takes_all(turns: list[Turn]) -> None:
    whole = render_turns(turns)
    assert fit_turns(turns, len, len(whole)).text == whole


def test_an_opening_that_is_too_long_is_cut_at_a_word() -> None:
    excerpt = fit_turns([Turn("user", "one two three four")], len, len("user: one two th\n"))
    assert excerpt.text == "user: one two\n"
