"""What the rules find in a summary, and what they leave alone."""

import time

import pytest

from training.judge.heuristics import describe, find_unsupported

CONVERSATION = "user: my iPhone 8 has died, said Bob's shop on 12/11\nagent: please DM us, we will refund $30.50\n"


@pytest.mark.parametrize(
    ("summary", "unsupported"),
    [
        ("Customer complains that the iPhone 8 died. Agent asks to DM.", ()),
        ("Customer complains that the iPhone 9 died.", ("9",)),
        ("Customer asks Alice about the refund of 30.50.", ("Alice",)),
        ("Customer was told by Bob that it died on 12/11.", ()),
        ("Agent gave the link https://t.co/x to the customer.", ("https://t.co/x",)),
        ("Agent is at www.foo.com, and (at https://t.co/x). Look!", ("www.foo.com", "https://t.co/x")),
        ("Refund of $31.50 promised, and Agent will DM.", ("31.50",)),
    ],
)
def test_numbers_names_and_links_must_stand_in_the_conversation(summary: str, unsupported: tuple[str, ...]) -> None:
    assert find_unsupported(summary, CONVERSATION) == unsupported


def test_a_full_stop_after_a_link_is_not_the_links() -> None:
    said = "user: where?\nagent: at www.foo.com or http://t.co/x thanks\n"
    assert find_unsupported("Agent is at www.foo.com, and Customer (see http://t.co/x). Or www.foo.com.", said) == ()


def test_words_that_are_always_written_large_are_no_names() -> None:
    assert find_unsupported("Now the Agent asks the Customer for a DM with the URL.", "user: hello\n") == ()


@pytest.mark.parametrize(
    ("summary", "is_swapped"),
    [
        ("Customer is complaining about a dead phone. Agent asks the customer to DM.", False),
        ("Agent is complaining about a dead phone.", True),
        ("The customer informed the customer that a refund is on its way.", True),
        ("Customer informed the agent about the delay.", False),
    ],
)
def test_swapped_roles_are_found(summary: str, is_swapped: bool) -> None:
    assert describe(summary, CONVERSATION).is_role_swapped is is_swapped


def test_length_form_and_copies() -> None:
    copied = describe("Please DM us, we will refund.", CONVERSATION)
    assert (copied.num_words, copied.num_sentences, copied.is_whole, copied.copy_rate) == (6, 1, True, 1.0)
    own = describe("Customer wants money. Agent", CONVERSATION)
    assert (own.num_sentences, own.is_whole, own.copy_rate) == (2, False, 0.0)
    assert describe("", CONVERSATION).num_words == 0


def test_a_long_copy_of_a_long_conversation_is_measured_in_proportion() -> None:
    words = " ".join(f"word{number}" for number in range(6_000))
    began = time.process_time()
    assert describe(words, f"user: {words}").copy_rate == 1.0
    assert time.process_time() - began < 2.0
