"""Completions become rows: label probabilities by their tokens, and columns that a database takes."""

import json
import math

import pytest

from aftercall.conversation import Turn
from aftercall.profile import load_profile
from tests.fixtures.model import build_byte_tokenizer
from worker.engine.base import Completion
from worker.jobs.checks import check_completion, find_tokens

TURNS = (Turn("user", "my kettle 5512 is cracked"), Turn("agent", "a new one comes on Friday"))
TEXT = "Kettle 5512 was cracked.\nA new one comes on Friday.\n= quality, resolved"


def complete(text: str, logprobs: dict[str, float]) -> Completion:
    """One token a byte, each as likely as the word that it is in."""
    token_ids = build_byte_tokenizer()(text)["input_ids"]
    values = [-0.01] * len(text)
    for word, logprob in logprobs.items():
        start = text.index(word)
        values[start : start + len(word)] = [logprob] * len(word)
    return Completion(text, 10, len(token_ids), "stop", 0.1, tuple(token_ids), tuple(values), 1.5)


def test_a_labels_probability_is_the_product_of_its_tokens() -> None:
    completion = complete(TEXT, {"quality": -0.1, "resolved": -0.2})
    checked = check_completion(completion, TURNS, load_profile("service-1"), build_byte_tokenizer(), 1.0)
    assert checked.reason_p == pytest.approx(math.exp(-0.7), abs=1e-3)
    assert checked.resolution_p == pytest.approx(math.exp(-1.6), abs=1e-3)
    columns = checked.columns
    assert (columns["reason"], columns["resolution"]) == ("quality", "resolved")
    assert json.loads(columns["evidence"]) == [[1], [2]]
    assert json.loads(columns["reasons"]) == []


def test_a_guessed_number_is_low_confidence() -> None:
    completion = complete(TEXT, {"5512": -3.0})
    checked = check_completion(completion, TURNS, load_profile("service-1"), build_byte_tokenizer(), 1.0)
    assert "low_confidence" in checked.verdict.reasons


def test_a_resolution_by_rule_is_certain() -> None:
    checked = check_completion(complete(TEXT, {}), TURNS[:1], load_profile("service-1"), build_byte_tokenizer(), 1.0)
    assert (checked.written.fields.resolution, checked.resolution_p) == ("no_answer", 1.0)


def test_tokens_that_a_text_would_not_come_to_are_left_out() -> None:
    other = Completion("abc", 1, 3, "stop", 0.1, (1, 2, 3), (-1.0, -1.0, -1.0), 0.0)
    assert find_tokens(other, build_byte_tokenizer()) == []
