"""The ends of text are those by name, whatever a tokenizer takes for one."""

from worker.loading.eos_tokens import find_end, find_ends


class Tokenizer:
    """A vocabulary, and which of it the tokenizer calls its end."""

    def __init__(self, end: str | None, *tokens: str) -> None:
        self._tokens = tokens
        self.eos_token_id = None if end is None else tokens.index(end)

    def get_vocab(self) -> dict[str, int]:
        return {token: index for index, token in enumerate(self._tokens)}


def test_the_start_of_a_message_is_no_end_of_text() -> None:
    mistaken = Tokenizer("<|im_start|>", "<|endoftext|>", "<|im_start|>", "<|im_end|>")
    assert find_end(mistaken) == 2
    assert find_ends(mistaken, [1]) == [2, 0]


def test_an_end_of_an_unknown_family_is_believed() -> None:
    other = Tokenizer("</s>", "<s>", "</s>", "<|turn|>")
    assert find_end(other) == 1
    assert find_ends(other, [1, 2]) == [1, 2]
    beside = Tokenizer("<|endoftext|>", "<|endoftext|>", "<|end|>")
    assert find_ends(beside, [1]) == [0, 1]


def test_an_end_of_another_name_is_believed_beside_known_ones() -> None:
    """A chat vocabulary on an older base: the model ends its texts as it was trained to."""
    beside = Tokenizer("</s>", "<s>", "</s>", "<|im_start|>", "<|im_end|>")
    assert find_end(beside) == 1
    assert find_ends(beside, [1]) == [1, 3]


def test_a_tokenizer_without_an_end_gets_the_known_one() -> None:
    endless = Tokenizer(None, "<s>", "<|endoftext|>", "<|im_end|>")
    assert find_end(endless) == 2
    assert find_ends(endless, []) == [2, 1]
