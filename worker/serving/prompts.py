"""From a cleaned conversation to the token ids of its prompt, cut to the context by whole turns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aftercall.conversation import parse_turns
from aftercall.prompt import build_prompt, fit_turns


@dataclass(frozen=True, slots=True)
class TokenizedPrompt:
    """A prompt as the engine takes it."""

    token_ids: list[int]
    #: Share of the conversation's tokens that is in the prompt, 0 to 1.
    coverage: float


def tokenize(text: str, tokenizer: Any, max_prompt_tokens: int) -> TokenizedPrompt:
    """The prompt of one rendered conversation; see `fit`."""
    [token_ids] = tokenize_whole([text], tokenizer)
    return fit(text, token_ids, tokenizer, max_prompt_tokens)


def tokenize_whole(texts: Sequence[str], tokenizer: Any) -> list[list[int]]:
    """The prompts of whole conversations, however long; in one call, several times faster than one by one."""
    token_ids: list[list[int]] = tokenizer([build_prompt(text) for text in texts])["input_ids"]
    return token_ids


def count_instruction(tokenizer: Any) -> int:
    """Tokens of a prompt without a conversation."""
    return len(tokenizer(build_prompt(""))["input_ids"])


def fit(text: str, token_ids: list[int], tokenizer: Any, max_prompt_tokens: int) -> TokenizedPrompt:
    """The prompt of a rendered conversation, cut to `max_prompt_tokens` if its whole prompt `token_ids` is longer.

    Raises ValueError if the text is no rendered conversation, or if the context has no room for any of it.
    """
    if len(token_ids) <= max_prompt_tokens:
        return TokenizedPrompt(token_ids, 1.0)

    def num_tokens(part: str) -> int:
        return len(tokenizer(part, add_special_tokens=False)["input_ids"])

    room = max_prompt_tokens - count_instruction(tokenizer)
    if room < 1:
        raise ValueError(f"the prompt leaves no room for a conversation in {max_prompt_tokens} tokens")
    turns = parse_turns(text)
    while True:
        # Turns counted one by one may come to a few tokens less than the whole: then try with a little less room.
        excerpt = fit_turns(turns, num_tokens, room)
        token_ids = tokenizer(build_prompt(excerpt.text))["input_ids"]
        surplus = len(token_ids) - max_prompt_tokens
        if surplus <= 0:
            return TokenizedPrompt(token_ids, excerpt.coverage)
        if room <= surplus:
            raise ValueError(f"no part of the conversation fits into {max_prompt_tokens} tokens")
        room -= surplus
