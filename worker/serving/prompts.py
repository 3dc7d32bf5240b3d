"""From a cleaned conversation to the token ids of its prompt, cut to the context by whole turns.

Serving and training build their tokens here. A conversation is inserted as text: what reads like a control token in a
customer's words, such as `<|im_end|>`, becomes the tokens of its characters.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from aftercall.conversation import parse_turns
from aftercall.errors import ModelError
from aftercall.profile import TWEETSUMM, Profile
from aftercall.prompt import build_prompt, fit_turns

#: Stands for the conversation while a chat template is filled in: of a private use area, so no template has it.
_PLACE = "\ue000aftercall\ue000"


@dataclass(frozen=True, slots=True)
class TokenizedPrompt:
    """A prompt as the engine takes it."""

    token_ids: list[int]
    #: Share of the conversation's tokens that is in the prompt, 0 to 1.
    coverage: float


class PromptEncoder:
    """Token ids of prompts and completions, for one tokenizer and profile."""

    def __init__(self, tokenizer: Any, profile: Profile = TWEETSUMM) -> None:
        """Raises ModelError if the profile asks for a chat template and the tokenizer has none."""
        self.profile = profile
        self._tokenizer = tokenizer
        #: Tokens that a text is searched for before it is split into words; the longest first.
        added = sorted(tokenizer.get_added_vocab(), key=len, reverse=True)
        self._control = re.compile("|".join(map(re.escape, added))) if added else None
        self._head, self._tail = _encode_chat(tokenizer, profile) if profile.template == "chat" else ([], [])

    @property
    def num_instruction_tokens(self) -> int:
        """Tokens of a prompt without a conversation."""
        return len(self._encode(""))

    def encode(self, text: str, max_prompt_tokens: int) -> TokenizedPrompt:
        """The prompt of one rendered conversation; see `fit`."""
        [token_ids] = self.encode_whole([text])
        return self.fit(text, token_ids, max_prompt_tokens)

    def encode_whole(self, texts: Sequence[str]) -> list[list[int]]:
        """The prompts of whole conversations, however long; in one call, several times faster than one by one."""
        if self.profile.template == "chat":
            encoded = self._encode_texts([text.strip() for text in texts], is_start=False)
            return [[*self._head, *token_ids, *self._tail] for token_ids in encoded]
        return self._encode_texts([build_prompt(text, self.profile) for text in texts], is_start=True)

    def encode_completion(self, completion: str) -> list[int]:
        """A completion as the model should write it, without its end."""
        [token_ids] = self._encode_texts([completion], is_start=False)
        return token_ids

    def fit(self, text: str, token_ids: list[int], max_prompt_tokens: int) -> TokenizedPrompt:
        """The prompt of a rendered conversation, cut to `max_prompt_tokens` if its whole prompt `token_ids` is longer.

        Raises ValueError if the text is no rendered conversation, or if the context has no room for any of it.
        """
        if len(token_ids) <= max_prompt_tokens:
            return TokenizedPrompt(token_ids, 1.0)
        room = max_prompt_tokens - self.num_instruction_tokens
        if room < 1:
            raise ValueError(f"the prompt leaves no room for a conversation in {max_prompt_tokens} tokens")
        turns = parse_turns(text)
        while True:
            # Turns counted one by one may come to a few tokens less than the whole: then try with a little less room.
            excerpt = fit_turns(turns, self._count, room)
            token_ids = self._encode(excerpt.text)
            surplus = len(token_ids) - max_prompt_tokens
            if surplus <= 0:
                return TokenizedPrompt(token_ids, excerpt.coverage)
            if room <= surplus:
                raise ValueError(f"no part of the conversation fits into {max_prompt_tokens} tokens")
            room -= surplus

    def _encode(self, text: str) -> list[int]:
        [token_ids] = self.encode_whole([text])
        return token_ids

    def _count(self, part: str) -> int:
        return len(self.encode_completion(part))

    def _encode_texts(self, texts: Sequence[str], *, is_start: bool) -> list[list[int]]:
        """Texts without control tokens but for what the tokenizer puts before the first, if a prompt starts here."""
        encoded: list[list[int]] = self._tokenizer(list(texts), add_special_tokens=is_start)["input_ids"]
        if self._control is not None:
            for index, text in enumerate(texts):
                if self._control.search(text):
                    encoded[index] = self._encode_in_parts(self._control, text, is_start=is_start)
        return encoded

    def _encode_in_parts(self, control: re.Pattern[str], text: str, *, is_start: bool) -> list[int]:
        """A text that holds what reads like control tokens, each broken behind its first character."""
        breaks = [0, *(found.start() + 1 for found in control.finditer(text)), len(text)]
        parts = [text[start:end] for start, end in pairwise(breaks) if start < end]
        token_ids: list[int] = list(self._tokenizer("", add_special_tokens=is_start)["input_ids"])
        for part in parts:
            token_ids += self._tokenizer(part, add_special_tokens=False)["input_ids"]
        return token_ids


def _encode_chat(tokenizer: Any, profile: Profile) -> tuple[list[int], list[int]]:
    """What stands before and behind the conversation, in the tokenizer's own chat format, up to the answer."""
    messages = []
    for example in profile.examples:
        messages += [
            {"role": "user", "content": _ask(profile, example.conversation.strip())},
            {"role": "assistant", "content": example.completion.strip()},
        ]
    messages.append({"role": "user", "content": _ask(profile, _PLACE)})
    try:
        # Templates that know no thinking pass over the switch.
        prompt = tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True, enable_thinking=False
        )
    except (AttributeError, ValueError) as error:
        raise ModelError(
            f"Profile {profile.name} asks in a chat format, and this model's tokenizer has no chat template. Use an "
            "instruct model, or AFTERCALL_PROFILE=service-1 with an adapter that was trained for it."
        ) from error
    head, *rest = prompt.split(_PLACE)
    if len(rest) != 1:
        raise ModelError(
            f"This model's chat template writes a message {len(rest)} times, where profile {profile.name} needs it "
            "once. Use another model, or a completion profile."
        )
    before, after = (tokenizer(part, add_special_tokens=False)["input_ids"] for part in (head, rest[0]))
    return before, after


def _ask(profile: Profile, conversation: str) -> str:
    return f"{profile.told.strip()}\n\nConversation:\n{conversation}"
