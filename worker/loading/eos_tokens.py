"""Which tokens end a text: the tokenizer's own, unless it is mistaken. Knows tokenizers; knows no model."""

from collections.abc import Iterable
from typing import Any

#: Ends of text in the families served here, where the tokenizer has them.
END_OF_TEXT_TOKENS = ("<|endoftext|>", "<|im_end|>")

#: Begins a message. transformers 5.17 takes it for the end of text of the packaged GGUF; a model trained on that goes
#: on for ever under the next version.
_START_OF_MESSAGE = "<|im_start|>"


def find_end(tokenizer: Any) -> int | None:
    """The token that ends a completion: the tokenizer's own, or the best known where it has none or a mistaken one."""
    known = _find_known(tokenizer)
    own: int | None = tokenizer.eos_token_id
    is_mistaken = own is None or own == tokenizer.get_vocab().get(_START_OF_MESSAGE)
    return known[-1] if known and is_mistaken else own


def find_ends(tokenizer: Any, configured: Iterable[int]) -> list[int]:
    """Every token that ends a completion, `find_end`'s first. Of its ends a model's folder often names only one.

    Args:
        configured: what the model's folder names.
    """
    end = find_end(tokenizer)
    mistaken = None if tokenizer.eos_token_id == end else tokenizer.eos_token_id
    ends = dict.fromkeys([end, *configured, *_find_known(tokenizer)])
    return [index for index in ends if index is not None and index != mistaken]


def _find_known(tokenizer: Any) -> list[int]:
    vocabulary = tokenizer.get_vocab()
    return [vocabulary[token] for token in END_OF_TEXT_TOKENS if token in vocabulary]
