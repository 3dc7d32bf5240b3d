"""One prompt on its way through the engine. Knows no scheduler, no tensor and no text."""

from dataclasses import dataclass, field

from worker.engine.base import FinishReason, PromptFailure


@dataclass(slots=True, eq=False)
class Sequence:
    """A prompt, what was decoded for it so far, and what it holds of the engine's memory."""

    prompt: tuple[int, ...]
    max_new_tokens: int
    #: Starts the draws of this sequence alone, so that its neighbours cannot change what it draws.
    seed: int = 0
    #: The sequence of the same prompt whose prefill serves this one too; None if it has its own. Set when admitted.
    read_with: "Sequence | None" = None
    #: Tokens decoded and seen by the host.
    completion: list[int] = field(default_factory=list)
    #: Log-probability of each of them, and the largest entropy that one was chosen at; in nats.
    logprobs: list[float] = field(default_factory=list)
    max_entropy: float = 0.0
    #: Steps launched for it whose tokens the host has not seen.
    num_in_flight: int = 0
    #: Tokens whose keys and values lie in the cache, those of steps in flight included.
    num_cached: int = 0
    pages: list[int] = field(default_factory=list)
    #: Its place in the decode tables while it runs.
    row: int = -1
    #: Clock readings of its first admission and of its last token; 0 before.
    admitted_at: float = 0.0
    ended_at: float = 0.0
    finish_reason: FinishReason | None = None
    #: What ended it in place of a completion.
    failure: PromptFailure | None = None

    @property
    def tokens(self) -> tuple[int, ...]:
        """Prompt and completion: what a prefill feeds, also after a preemption."""
        return (*self.prompt, *self.completion)

    @property
    def num_tokens(self) -> int:
        """Tokens of prompt and completion."""
        return len(self.prompt) + len(self.completion)

    @property
    def num_read(self) -> int:
        """Tokens that its own prefill feeds."""
        return 0 if self.read_with is not None else self.num_tokens

    @property
    def max_tokens(self) -> int:
        """Tokens that the cache holds for it at most; the last token of a completion is never fed."""
        return len(self.prompt) + self.max_new_tokens - 1

    @property
    def is_fully_scheduled(self) -> bool:
        """Every token it may get has been asked for; the last may still be in flight."""
        return self.num_cached >= self.max_tokens

    def receive(self, token: int, logprob: float = 0.0, entropy: float = 0.0) -> None:
        """Take the token of the oldest step in flight, and how sure the model was of it."""
        self.num_in_flight -= 1
        if not self.is_finished:
            self.completion.append(token)
            self.logprobs.append(logprob)
            self.max_entropy = max(self.max_entropy, entropy)

    @property
    def is_finished(self) -> bool:
        """Its completion has ended, or it has failed."""
        return self.finish_reason is not None or self.failure is not None
