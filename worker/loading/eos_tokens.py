"""Finds the EOS tokens of a tokenizer, also when its own EOS setting is wrong."""

from collections.abc import Iterable
from typing import Any

#: EOS tokens of the model families served here.
END_OF_TEXT_TOKENS = ("<|endoftext|>", "<|im_end|>")

#: Begins a message. transformers 5.17 takes it for the EOS token of the packaged GGUF. A model trained on that would
#: never stop under a later version that reads the file correctly.
_START_OF_MESSAGE = "<|im_start|>"


def find_end(tokenizer: Any) -> int | None:
    """The tokenizer's EOS token, or the best known one if it has none or a wrong one."""
    known = _find_known(tokenizer)
    own: int | None = tokenizer.eos_token_id
    is_wrong = own is None or own == tokenizer.get_vocab().get(_START_OF_MESSAGE)
    return known[-1] if known and is_wrong else own


def find_ends(tokenizer: Any, configured: Iterable[int]) -> list[int]:
    """Every token that ends a completion, the one of `find_end` first.

    A model's folder often names only one of them.

    Args:
        configured: the EOS tokens that the model's folder names.
    """
    end = find_end(tokenizer)
    wrong = None if tokenizer.eos_token_id == end else tokenizer.eos_token_id
    ends = dict.fromkeys([end, *configured, *_find_known(tokenizer)])
    return [index for index in ends if index is not None and index != wrong]


def _find_known(tokenizer: Any) -> list[int]:
    vocabulary = tokenizer.get_vocab()
    return [vocabulary[token] for token in END_OF_TEXT_TOKENS if token in vocabulary]
