"""When a completion ends, and what its text is. Knows token ids and their text; no tensors."""

from collections.abc import Collection, Sequence
from typing import Any

from worker.engine.base import FinishReason


class StopRule:
    """End-of-text, the stop string, or the limit.

    A completion is decoded only when its newest token could have completed the stop string, that is, when the
    token's text contains the string's last character: a set of token ids, read off the vocabulary once.
    """

    def __init__(self, tokenizer: Any, stop_string: str, eos_token_ids: Collection[int]) -> None:
        self._tokenizer = tokenizer
        self._stop_string = stop_string
        self._eos_token_ids = frozenset(eos_token_ids)
        self._closing_ids = _ids_containing(tokenizer, stop_string[-1]) if stop_string else frozenset[int]()

    def finish_reason(self, completion: Sequence[int], max_new_tokens: int) -> FinishReason | None:
        """Why `completion` ends with its last token; None if it goes on."""
        newest = completion[-1]
        if newest in self._eos_token_ids:
            return "stop"
        if newest in self._closing_ids and self._find(self._decode(completion)) >= 0:
            return "stop"
        return "length" if len(completion) >= max_new_tokens else None

    def text(self, completion: Sequence[int]) -> str:
        """What `completion` says, up to the stop string."""
        text = self._decode(completion)
        end = self._find(text) if self._stop_string else -1
        return text if end < 0 else text[:end]

    def _find(self, text: str) -> int:
        """Where the stop string begins, at a line break before it; -1: nowhere."""
        if self._stop_string[0] == "\n" and text.startswith(self._stop_string[1:]):
            return 0
        return text.find(self._stop_string)

    def _decode(self, completion: Sequence[int]) -> str:
        text: str = self._tokenizer.decode(list(completion), skip_special_tokens=True)
        return text


def _ids_containing(tokenizer: Any, character: str) -> frozenset[int]:
    """Token ids whose text may contain `character`."""
    vocabulary: dict[str, int] = tokenizer.get_vocab()
    if not (character.isascii() and character.isprintable() and character != " "):
        # Vocabularies write such characters in ways of their own: any token may close the string.
        return frozenset(vocabulary.values())
    byte_token = f"<0x{ord(character):02X}>"
    return frozenset(id_ for piece, id_ in vocabulary.items() if character in piece or piece == byte_token)
