"""Where completions end, over a byte tokenizer."""

from typing import Any

import pytest

from tests.fixtures.model import build_byte_tokenizer
from worker.engine.stopping import StopRule


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return build_byte_tokenizer()


def ids(tokenizer: Any, text: str) -> list[int]:
    encoded: list[int] = tokenizer(text)["input_ids"]
    return encoded


@pytest.mark.parametrize(
    ("text", "reason"),
    [("all is well", None), ("almost ##", None), ("done ###", "stop"), ("hash # marks ## apart", None)],
)
def test_ends_with_the_stop_string(tokenizer: Any, text: str, reason: str | None) -> None:
    rule = StopRule(tokenizer, "###", {tokenizer.eos_token_id})
    assert rule.finish_reason(ids(tokenizer, text), 100) == reason


def test_ends_at_end_of_text_and_at_the_limit(tokenizer: Any) -> None:
    rule = StopRule(tokenizer, "###", {tokenizer.eos_token_id})
    words = ids(tokenizer, "word")
    assert rule.finish_reason([*words, tokenizer.eos_token_id], 100) == "stop"
    assert rule.finish_reason(words, len(words)) == "length"
    assert rule.finish_reason(words, len(words) + 1) is None


def test_text_is_cut_before_the_stop_string_and_has_no_special_tokens(tokenizer: Any) -> None:
    rule = StopRule(tokenizer, "###", {tokenizer.eos_token_id})
    assert rule.text(ids(tokenizer, "A refund was sent.\n### Input")) == "A refund was sent.\n"
    assert rule.text([*ids(tokenizer, "Solved."), tokenizer.eos_token_id]) == "Solved."


def test_a_stop_string_of_any_character(tokenizer: Any) -> None:
    rule = StopRule(tokenizer, "\n", {tokenizer.eos_token_id})
    assert rule.finish_reason(ids(tokenizer, "one\n"), 100) == "stop"
    assert StopRule(tokenizer, "", ()).finish_reason(ids(tokenizer, "one###"), 100) is None


def test_a_stop_string_at_the_start_of_a_line_leaves_the_same_characters_inside_one(tokenizer: Any) -> None:
    rule = StopRule(tokenizer, "\n###", {tokenizer.eos_token_id})
    assert rule.finish_reason(ids(tokenizer, "order ###"), 100) is None
    assert rule.finish_reason(ids(tokenizer, "done\n###"), 100) == "stop"
    assert rule.finish_reason(ids(tokenizer, "###"), 100) == "stop"
    assert rule.text(ids(tokenizer, "order ###123 is lost\n### Input")) == "order ###123 is lost"
    assert rule.text(ids(tokenizer, "### Input")) == ""
