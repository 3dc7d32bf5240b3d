"""Prompts as token ids, cut to the context."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aftercall.prompt import build_prompt
from tests.fixtures.scripted_worker import CharacterTokenizer
from worker.serving.prompts import PromptEncoder

TEMPLATE = len(build_prompt(""))


class GreedyTokenizer(CharacterTokenizer):
    """Joins what it sees together: three characters a token, so that parts cost more than the whole."""

    def __call__(self, text: str | list[str], add_special_tokens: bool = True) -> dict[str, list[Any]]:
        if isinstance(text, list):
            return {"input_ids": [self(each)["input_ids"] for each in text]}
        return {"input_ids": [ord(text[start]) for start in range(0, len(text), 3)] + [0] * add_special_tokens}


def conversation(num_turns: int) -> str:
    return "".join(f"{('user', 'agent')[number % 2]}: this is turn {number}\n" for number in range(num_turns))


def test_what_fits_is_the_whole_prompt() -> None:
    text = conversation(3)
    prompt = PromptEncoder(CharacterTokenizer()).encode(text, 10_000)
    assert "".join(map(chr, prompt.token_ids)) == build_prompt(text)
    assert prompt.coverage == 1.0


@given(st.integers(1, 40), st.integers(20, 600), st.sampled_from([CharacterTokenizer(), GreedyTokenizer()]))
def test_a_prompt_never_exceeds_its_limit_and_says_how_much_it_covers(
    num_turns: int, room: int, tokenizer: CharacterTokenizer
) -> None:
    limit = len(tokenizer(build_prompt(""))["input_ids"]) + room
    prompt = PromptEncoder(tokenizer).encode(conversation(num_turns), limit)
    assert len(prompt.token_ids) <= limit
    assert 0 < prompt.coverage <= 1


def test_the_template_stays_whole_when_the_conversation_is_cut() -> None:
    text = "".join(map(chr, PromptEncoder(CharacterTokenizer()).encode(conversation(40), TEMPLATE + 120).token_ids))
    assert text.startswith("### Instruction: ")
    assert text.endswith("### Response:\n")
    assert "this is turn 0\n" in text
    assert "this is turn 39\n" in text
    assert "this is turn 20\n" not in text


def test_no_room_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="leaves no room for a conversation"):
        PromptEncoder(CharacterTokenizer()).encode(conversation(3), TEMPLATE)
