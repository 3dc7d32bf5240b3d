"""One batch of prompts through transformers' `generate`: padding, ends, draws and trimming.

Knows a model and its tokenizer; knows no thread, no queue and no memory limit.
"""

import hashlib
import threading
import time
from collections.abc import Sequence
from typing import Any

import torch
from transformers import GenerationConfig
from transformers.generation import (
    LogitsProcessorList,
    StoppingCriteriaList,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from aftercall.errors import ModelError
from worker.engine.base import Completion, PromptFailure, SamplingSettings


class BatchGenerator:
    """Completes a batch at once. Each outcome is what its prompt alone would give, rounding aside."""

    def __init__(self, model: Any, tokenizer: Any, sampling: SamplingSettings, is_cancelled: threading.Event) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._sampling = sampling
        self._is_cancelled = is_cancelled
        self._end_ids = _find_end_ids(model, tokenizer)
        self._config = GenerationConfig(
            max_new_tokens=sampling.max_new_tokens,
            do_sample=False,
            eos_token_id=self._end_ids,
            pad_token_id=self._end_ids[0],
            stop_strings=[sampling.stop_string] if sampling.stop_string else None,
        )

    def generate(self, prompts: Sequence[Sequence[int]]) -> list[Completion | PromptFailure]:
        """One outcome a prompt, in order. What goes wrong concerns the batch as a whole, and raises."""
        started = time.perf_counter()
        device = self._model.device
        input_ids, attention_mask = _pad_left(prompts, self._end_ids[0])
        output = self._model.generate(
            input_ids.to(device),
            attention_mask=attention_mask.to(device),
            generation_config=self._config,
            tokenizer=self._tokenizer,
            logits_processor=self._draws(prompts),
            stopping_criteria=StoppingCriteriaList([self._cancellation]),
        )
        rows = output[:, input_ids.shape[1] :].tolist()
        duration_s = time.perf_counter() - started
        return [self._outcome(len(prompt), row, duration_s) for prompt, row in zip(prompts, rows, strict=True)]

    def _outcome(self, num_prompt_tokens: int, row: list[int], duration_s: float) -> Completion | PromptFailure:
        length = next((index for index, token in enumerate(row) if token in self._end_ids), len(row))
        text = self._decode(row[:length])
        is_cut = bool(self._sampling.stop_string) and self._sampling.stop_string in text
        is_ended = is_cut or length < len(row)
        if not is_ended and length < self._sampling.max_new_tokens:
            return PromptFailure("aborted", "The engine was closed before this completion ended.")
        return Completion(
            text=text.partition(self._sampling.stop_string)[0] if is_cut else text,
            num_prompt_tokens=num_prompt_tokens,
            # An end-of-text token was generated too; after a stop string the row holds padding instead.
            num_completion_tokens=length if is_cut or not is_ended else length + 1,
            finish_reason="stop" if is_ended else "length",
            duration_s=duration_s,
        )

    def _decode(self, tokens: list[int]) -> str:
        text: str = self._tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text

    def _cancellation(self, input_ids: torch.Tensor, _scores: object, **_: object) -> torch.Tensor:
        return torch.full((len(input_ids),), self._is_cancelled.is_set(), device=input_ids.device)

    def _draws(self, prompts: Sequence[Sequence[int]]) -> LogitsProcessorList:
        """What turns greedy decoding into sampling: the usual filters, then noise of each sequence's own."""
        steps = LogitsProcessorList()
        if not self._sampling.do_sample:
            return steps
        steps.append(TemperatureLogitsWarper(self._sampling.temperature))
        if self._sampling.top_k > 0:
            steps.append(TopKLogitsWarper(self._sampling.top_k))
        steps.append(TopPLogitsWarper(self._sampling.top_p))
        steps.append(_SequenceNoise(prompts, self._sampling.seed))
        return steps


class _SequenceNoise:
    """Gumbel noise on the scores: their maximum is then a draw from their softmax.

    `generate` would draw for the batch from one global generator, so that a completion hung on its neighbours.
    """

    def __init__(self, prompts: Sequence[Sequence[int]], seed: int) -> None:
        self._generators = [torch.Generator().manual_seed(_sequence_seed(prompt, seed)) for prompt in prompts]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        size = scores.shape[1]
        draws = [torch.empty(size).exponential_(generator=generator) for generator in self._generators]
        return scores - torch.stack(draws).log().to(scores.device)


def _find_end_ids(model: Any, tokenizer: Any) -> list[int]:
    """Every token that the model or its tokenizer calls an end of text."""
    configured = model.generation_config.eos_token_id
    ids = configured if isinstance(configured, list) else [configured]
    known = [index for index in (tokenizer.eos_token_id, *ids) if index is not None]
    if not known:
        raise ModelError("Neither this model nor its tokenizer names an end-of-text token. Set `eos_token_id`.")
    return list(dict.fromkeys(known))


def _pad_left(prompts: Sequence[Sequence[int]], pad_id: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask, the prompts flush right, so that all completions start in one column."""
    width = max(len(prompt) for prompt in prompts)
    input_ids = torch.tensor([[pad_id] * (width - len(prompt)) + list(prompt) for prompt in prompts])
    lengths = torch.tensor([[len(prompt)] for prompt in prompts])
    return input_ids, (torch.arange(width) >= width - lengths).long()


def _sequence_seed(prompt: Sequence[int], seed: int) -> int:
    text = f"{seed}:{','.join(map(str, prompt))}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) >> 1
