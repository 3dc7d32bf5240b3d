"""A model that likes all bytes equally, behind the engine's real scheduler: the whole loop in milliseconds."""

from collections.abc import Callable
from typing import Any

import torch

from tests.fixtures.model import build_byte_tokenizer
from worker.engine.base import SamplingSettings
from worker.engine.engine import BatchingEngine, Choices
from worker.engine.memory.oom import OutOfDeviceMemoryError
from worker.engine.memory.pages import PagePool
from worker.engine.sampling import choose_tokens, measure_choices
from worker.engine.scheduler import Limits, Scheduler, Step
from worker.engine.stopping import StopRule

VOCAB_SIZE = 257


class Sampled:
    """Tokens that are there at once."""

    def __init__(self, choices: Choices) -> None:
        self._choices = choices

    def wait(self) -> Choices:
        return self._choices


class UniformRunner:
    """Samples from equal logits; notes every step, and fails where `max_fitting` says that memory ends."""

    vocab_size = VOCAB_SIZE
    #: None is loaded.
    adapters = ()

    def __init__(self, settings: SamplingSettings, max_in_flight: int, max_model_len: int) -> None:
        self.max_in_flight = max_in_flight
        self.max_model_len = max_model_len
        self.max_fitting = 10**9
        self.steps: list[Step] = []
        self.before_step: Callable[[Step], None] = lambda step: None
        self._settings = settings

    def launch(self, step: Step) -> Sampled:
        self.before_step(step)
        num_tokens = sum(s.num_tokens for s in step.sequences) if step.is_prefill else len(step.sequences)
        if num_tokens > self.max_fitting:
            raise OutOfDeviceMemoryError(f"{num_tokens} tokens do not fit")
        self.steps.append(step)
        seeds = torch.tensor([s.seed for s in step.sequences])
        positions = torch.tensor([s.num_cached - 1 for s in step.sequences])
        logits = torch.zeros(len(step.sequences), VOCAB_SIZE)
        tokens = choose_tokens(logits, seeds, positions, self._settings)
        return Sampled(Choices(tokens.tolist(), *(each.tolist() for each in measure_choices(logits, tokens))))

    def close(self) -> None:
        pass


def uniform_engine(
    settings: SamplingSettings, limits: Limits | None = None, num_pages: int = 200, max_in_flight: int = 2
) -> tuple[BatchingEngine, UniformRunner]:
    """An engine over pages of four tokens, and its runner to look into."""
    limits = limits or Limits(max_num_seqs=8, max_num_batched_tokens=64, min_prefill_tokens=32)
    runner = UniformRunner(settings, max_in_flight, max_model_len=64)
    tokenizer: Any = build_byte_tokenizer()
    rule = StopRule(tokenizer, settings.stop_string, {tokenizer.eos_token_id})
    return BatchingEngine(runner, Scheduler(limits, PagePool(num_pages, 4)), rule, settings), runner
