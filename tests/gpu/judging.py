"""Small random models on the GPU, completions of them, and how good each token was by float32's judgement."""

from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, PhiConfig, PreTrainedConfig

from worker.engine.base import Completion, PromptFailure, SamplingSettings
from worker.engine.build import assemble_engine
from worker.engine.memory.oom import OutOfDeviceMemoryError
from worker.engine.options import EngineOptions
from worker.engine.runner import ModelRunner, SampledTokens
from worker.engine.scheduler import Step

SHAPE: dict[str, Any] = {
    "vocab_size": 512,
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_hidden_layers": 3,
    "max_position_embeddings": 1024,
    # Larger than usual: logits far enough apart that rounding seldom decides.
    "initializer_range": 0.15,
}
PHI = PhiConfig(num_attention_heads=4, partial_rotary_factor=0.5, **SHAPE)
LLAMA = LlamaConfig(num_attention_heads=4, num_key_value_heads=2, **SHAPE)


class Recorder:
    """A stop rule that never stops and whose text is the token ids."""

    def finish_reason(self, completion: list[int], max_new_tokens: int) -> str | None:
        return "length" if len(completion) >= max_new_tokens else None

    def text(self, completion: list[int]) -> str:
        return " ".join(map(str, completion))


class WatchedRunner(ModelRunner):
    """Counts what a crowded device does to the steps."""

    def __init__(self, model: Any, settings: SamplingSettings, options: EngineOptions) -> None:
        self.num_out_of_memory = 0
        self.num_prefilled = 0
        super().__init__(model, settings, options)
        self.num_prefilled = 0

    def launch(self, step: Step) -> SampledTokens:
        try:
            tokens = super().launch(step)
        except OutOfDeviceMemoryError:
            self.num_out_of_memory += 1
            raise
        self.num_prefilled += len(step.sequences) if step.is_prefill else 0
        return tokens


class WatchedEngine:
    """An engine beside its runner."""

    def __init__(self, model: Any, max_new_tokens: int, options: EngineOptions) -> None:
        settings = SamplingSettings(max_new_tokens=max_new_tokens)
        self.runner = WatchedRunner(model, settings, options)
        self._engine = assemble_engine(self.runner, Recorder(), settings, options)  # type: ignore[arg-type]

    def generate(self, prompts: list[list[int]]) -> list[Completion | PromptFailure]:
        return self._engine.generate(prompts)

    def close(self) -> None:
        self._engine.close()


def complete(
    model: Any, prompts: list[list[int]], settings: SamplingSettings, options: EngineOptions
) -> list[list[int]]:
    engine = assemble_engine(ModelRunner(model, settings, options), Recorder(), settings, options)  # type: ignore[arg-type]
    outcomes = engine.generate(prompts)
    engine.close()
    return tokens_of(outcomes)


def tokens_of(outcomes: list[Completion | PromptFailure]) -> list[list[int]]:
    assert all(isinstance(outcome, Completion) for outcome in outcomes), outcomes
    return [[int(token) for token in outcome.text.split()] for outcome in outcomes]  # type: ignore[union-attr]


def random_model(config: PreTrainedConfig, dtype: torch.dtype) -> Any:
    torch.manual_seed(1)
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32).to("cuda", dtype).eval()


def random_prompts(num_prompts: int, longest: int = 300) -> list[list[int]]:
    lengths = torch.randint(1, longest, (num_prompts,)).tolist()
    return [torch.randint(0, 512, (length,)).tolist() for length in lengths]


@dataclass(frozen=True)
class Parting:
    """How often the engine and transformers chose another token than float32, and by how much at worst."""

    num_ours: int
    num_theirs: int
    our_worst: float
    their_worst: float
    #: The largest error of transformers' logits, over all positions and tokens of the vocabulary.
    noise: float

    def check(self) -> None:
        """Logits off by at most e choose a token at most 2 e below the best.

        The worst of a dozen partings says little about the next dozen; the largest of 400,000 errors does.
        """
        assert self.num_ours <= 1.5 * self.num_theirs + 5, self
        assert self.our_worst <= 2 * self.noise, self


def judge(model: Any, exact: Any, prompts: list[list[int]], completions: list[list[int]]) -> Parting:
    """On the engine's own completions: `exact` says how good each token is, `model` is transformers' own."""
    ours, theirs, errors = [], [], []
    for prompt, completion in zip(prompts, completions, strict=True):
        ids = torch.tensor([prompt + completion], device="cuda")
        with torch.inference_mode():
            logits = exact(ids).logits[0, len(prompt) - 1 : -1]
            rounded = model(ids).logits[0, len(prompt) - 1 : -1]
        ours.append(_gaps(logits, torch.tensor(completion, device="cuda")))
        theirs.append(_gaps(logits, rounded.argmax(dim=1)))
        errors.append(((rounded.float() - logits).abs().max(dim=1).values / logits.std(dim=1)).max())
    our, their = torch.cat(ours), torch.cat(theirs)
    noise = float(torch.stack(errors).max())
    return Parting(int((our > 0).sum()), int((their > 0).sum()), float(our.max()), float(their.max()), noise)


def _gaps(logits: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """How far each chosen token's logit lies below the best, in standard deviations; zero where it is the best."""
    return (logits.max(dim=1).values - logits.gather(1, chosen[:, None]).squeeze(1)) / logits.std(dim=1)
