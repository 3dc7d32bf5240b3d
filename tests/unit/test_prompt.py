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


#: Room for both ends of a first and a last turn, each with the sign for what was cut out.
SMALLEST = 4 * len("agent: abcdefgh … abcdefgh\n")


@given(turns, st.integers(SMALLEST, 600))
def test_an_excerpt_fits_and_says_how_much_it_covers(turns: list[Turn], max_tokens: int) -> None:
    excerpt = fit_turns(turns, len, max_tokens)
    whole = render_turns(turns)

    assert len(excerpt.text) <= max_tokens
    # A space is counted where the sign for the cut, three characters long, stands.
    assert excerpt.coverage == (len(excerpt.text) - 2 * excerpt.text.count("…")) / len(whole)
    assert (excerpt.coverage == 1.0) == (len(whole) <= max_tokens)


@given(turns, st.integers(SMALLEST, 600))
def test_both_ends_of_a_conversation_are_kept(turns: list[Turn], max_tokens: int) -> None:
    kept = parse_turns(fit_turns(turns, len, max_tokens).text)
    assert kept[0].text.split(" ")[0] == turns[0].text.split(" ")[0]
    if len(turns) > 1:
        assert kept[-1].text.split(" ")[-1] == turns[-1].text.split(" ")[-1]


@given(turns)
def test_turns_of_usual_length_are_kept_or_left_out_whole(turns: list[Turn]) -> None:
    max_tokens = max(4 * max(len(render_turns([turn])) for turn in turns), SMALLEST)
    kept = parse_turns(fit_turns(turns, len, max_tokens).text)
    num_first, num_last = (len(kept) + 1) // 2, len(kept) // 2
    assert list(kept) == turns[:num_first] + turns[len(turns) - num_last :]


def test_a_pasted_log_loses_its_middle_and_the_outcome_stays() -> None:
    log = " ".join(f"line{number} error" for number in range(900))
    turns = [
        Turn("user", f"My gateway drops all calls. {log} retrying in 5 seconds"),
        Turn("agent", "Firmware 7.1 has a known fault, I credited 20 EUR."),
        Turn("user", "The update worked, you can close the case."),
    ]
    excerpt = fit_turns(turns, len, 400)
    kept = parse_turns(excerpt.text)
    assert kept[1:] == tuple(turns[1:])
    assert kept[0].text.startswith("My gateway drops all calls. line0 error")
    assert kept[0].text.endswith("error retrying in 5 seconds")
    assert 350 < len(excerpt.text) <= 400
    assert excerpt.coverage < 0.04


def test_one_of_many_turns_that_is_too_long_gives_way_to_the_others() -> None:
    turns = [Turn("user" if number % 2 else "agent", f"turn number {number}") for number in range(10)]
    turns[5] = Turn("user", "word " * 1000 + "end")
    kept = parse_turns(fit_turns(turns, len, 500).text)
    assert [turn.text for turn in kept if "…" not in turn.text] == [turn.text for turn in turns if turn is not turns[5]]
    assert kept[5].text.endswith("word end")


@given(turns)
def test_room_for_all_takes_all(turns: list[Turn]) -> None:
    whole = render_turns(turns)
    assert fit_turns(turns, len, len(whole)).text == whole


def test_words_are_not_cut() -> None:
    excerpt = fit_turns([Turn("user", "one two three four")], len, len("user: one two … ur\n"))
    assert excerpt.text == "user: one … four\n"


def test_text_without_spaces_is_cut_between_characters() -> None:
    excerpt = fit_turns([Turn("user", "我的包裹昨天没有到请帮忙")], len, len("user: 我的 … 帮忙\n"))
    assert excerpt.text == "user: 我的 … 帮忙\n"


def test_where_hardly_anything_fits_the_opening_keeps_a_character() -> None:
    excerpt = fit_turns([Turn("user", "one two"), Turn("agent", "three four")], len, 1)
    assert excerpt.text == "user: o\n"
