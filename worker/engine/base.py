"""What an engine is to the rest of the worker: prompts in, completions out.

An engine knows tokens and a model. It knows no conversation, no job, no queue and no database.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

FinishReason = Literal["stop", "length"]

#: Why a prompt failed, in a word for machines.
FailureCode = Literal["prompt_too_long", "out_of_memory", "not_a_number", "engine_error", "engine_lost", "aborted"]

#: The code of a prompt that was given back unfinished, because the engine was closed.
ABORTED: Final = "aborted"


@dataclass(frozen=True, slots=True)
class SamplingSettings:
    """How tokens are chosen and when a completion ends. The defaults decode greedily."""

    max_new_tokens: int = 200
    do_sample: bool = False
    top_k: int = 50
    top_p: float = 0.95
    temperature: float = 1.0
    #: Seeds the draw of every sequence, so that a run can be repeated.
    seed: int = 0
    #: Sampled completions that a caller may ask for besides its first one; without any, a greedy engine never samples.
    num_samples: int = 0
    #: A completion ends before the first occurrence of this string (or at end-of-text). Where it begins with a line
    #: break, the start of the completion counts as one.
    stop_string: str = "\n###"


@dataclass(frozen=True, slots=True)
class Completion:
    """What the model wrote for one prompt."""

    #: Decoded text without special tokens; never contains the stop string.
    text: str
    num_prompt_tokens: int
    num_completion_tokens: int
    finish_reason: FinishReason
    #: Wall-clock seconds from admission to the last token.
    duration_s: float
    #: All tokens of the completion, its end included, and the natural logarithm of each one's probability.
    token_ids: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    #: Of the distributions that the tokens were chosen from, the largest entropy, in nats.
    max_entropy: float = 0.0


@dataclass(frozen=True, slots=True)
class PromptFailure:
    """A prompt that failed alone; its neighbours are not concerned."""

    code: FailureCode
    #: A sentence for people.
    reason: str


class Engine(Protocol):
    """Turns prompts into completions. Safe to call from several threads at once: their prompts share the batch."""

    @property
    def max_prompt_tokens(self) -> int:
        """The longest prompt that leaves room for `max_new_tokens`, in tokens."""
        ...

    def generate(
        self, prompts: Sequence[Sequence[int]], draws: Sequence[int] | None = None
    ) -> list[Completion | PromptFailure]:
        """Complete `prompts` (token ids), one outcome a prompt, in their order. Blocks until all have ended.

        Args:
            draws: for each prompt, 0 to decode it as the settings say, or the number of a sample, from 1; each number
                gives another completion. Equal prompts in a row are read once. By default all are 0.

        A failure of the whole engine (a lost device) raises; a failure of one prompt is its outcome.
        """
        ...

    def close(self) -> None:
        """Stop the engine's thread and free what it holds."""
        ...
