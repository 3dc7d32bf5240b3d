"""The plain engine: transformers' `generate` over length-sorted batches, in one thread that owns the model.

It is the reference that a faster engine is compared with, and what is left where that one cannot run. Batches are
whole: a new prompt waits until the batch before it has ended.
"""

import gc
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

import torch

from worker.engine.base import Completion, PromptFailure, SamplingSettings
from worker.engine.hugging_face_batch import BatchGenerator

Outcome = Completion | PromptFailure


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """What a batch may take."""

    max_batch_size: int = 32
    #: Sequences times the longest one's tokens, prompt and completion: what the KV cache grows to.
    max_batch_tokens: int = 16_384
    #: Caps the model's own context; None leaves it.
    max_context_tokens: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Request:
    prompt: Sequence[int]
    outcome: "Future[Outcome]" = field(default_factory=Future)


class HuggingFaceEngine:
    """An `Engine` on any causal language model that transformers loads."""

    def __init__(
        self, model: Any, tokenizer: Any, sampling: SamplingSettings, limits: BatchLimits | None = None
    ) -> None:
        self._limits = limits or BatchLimits()
        self._max_new_tokens = sampling.max_new_tokens
        context: int = model.config.max_position_embeddings
        self._max_context_tokens = min(context, self._limits.max_context_tokens or context)
        self._is_closing = threading.Event()
        self._generator = BatchGenerator(model, tokenizer, sampling, self._is_closing)
        self._queue: SimpleQueue[list[_Request]] = SimpleQueue()
        #: Guards that nothing is queued once the thread stops reading.
        self._lock = threading.Lock()
        self._lost: Exception | None = None
        self._thread = threading.Thread(target=self._serve, name="aftercall-engine", daemon=True)
        self._thread.start()

    @property
    def max_prompt_tokens(self) -> int:
        """The longest prompt that leaves room for `max_new_tokens`, in tokens."""
        return self._max_context_tokens - self._max_new_tokens

    def generate(self, prompts: Sequence[Sequence[int]]) -> list[Outcome]:
        """Complete `prompts`, one outcome a prompt, in their order; raises where the device is lost."""
        requests = [_Request(prompt) for prompt in prompts]
        fitting = [request for request in requests if self._admit(request)]
        with self._lock:
            if self._lost:
                raise RuntimeError(f"The engine has lost its device: {self._lost}") from self._lost
            if self._is_closing.is_set():
                _abort(fitting)
            else:
                self._queue.put(fitting)
        return [request.outcome.result() for request in requests]

    def close(self) -> None:
        """End the thread and free the model; what is unfinished or waiting is aborted."""
        with self._lock:
            if self._is_closing.is_set():
                return
            self._is_closing.set()
            self._queue.put([])
        self._thread.join()
        del self._generator
        _free_memory()

    def _admit(self, request: _Request) -> bool:
        """Whether the prompt can be run at all; its outcome is set where not."""
        num_tokens = len(request.prompt)
        if 0 < num_tokens <= self.max_prompt_tokens:
            return True
        failure = PromptFailure(
            "prompt_too_long",
            f"The prompt has {num_tokens} tokens; at most {self.max_prompt_tokens} leave room for a completion.",
        )
        request.outcome.set_result(failure if num_tokens else PromptFailure("engine_error", "The prompt is empty."))
        return False

    def _serve(self) -> None:
        requests: list[_Request] = []
        try:
            while not self._is_closing.is_set():
                requests = self._collect()
                self._run(requests)
        except Exception as error:
            with self._lock:
                self._lost = error
            _fail([*requests, *self._drain()], error)
        _abort(self._drain())

    def _collect(self) -> list[_Request]:
        """What is waiting, from all threads; waits for the first."""
        return [*self._queue.get(), *self._drain()]

    def _drain(self) -> list[_Request]:
        requests: list[_Request] = []
        while not self._queue.empty():
            requests += self._queue.get()
        return requests

    def _run(self, requests: list[_Request]) -> None:
        lengths = [len(request.prompt) + self._max_new_tokens for request in requests]
        for batch in plan_batches(lengths, self._limits):
            self._complete([requests[index] for index in batch])

    def _complete(self, batch: list[_Request]) -> None:
        """Run a batch; one that fails is halved until the prompt at fault stands alone."""
        if self._is_closing.is_set():
            _abort(batch)
            return
        result = self._attempt(batch)
        if isinstance(result, list):
            for request, outcome in zip(batch, result, strict=True):
                request.outcome.set_result(outcome)
        elif len(batch) == 1:
            batch[0].outcome.set_result(result)
        else:
            _free_memory()
            self._complete(batch[: len(batch) // 2])
            self._complete(batch[len(batch) // 2 :])

    def _attempt(self, batch: list[_Request]) -> list[Outcome] | PromptFailure:
        """The batch's outcomes, or why it failed in words: an exception kept would hold the batch's memory."""
        try:
            return self._generator.generate([request.prompt for request in batch])
        except torch.AcceleratorError:
            # The device answers no further call; the worker has to be restarted.
            raise
        except torch.OutOfMemoryError as error:
            return PromptFailure("out_of_memory", f"The GPU has no room for this prompt even alone: {error}")
        except Exception as error:
            return PromptFailure("engine_error", f"{type(error).__name__}: {error}")


def plan_batches(lengths: Sequence[int], limits: BatchLimits) -> list[list[int]]:
    """Indices of `lengths` in batches within `limits`, the longest first; one too long for them goes alone."""
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        # Sorted, so the batch's first sequence is its longest.
        if batches and _has_room(len(batches[-1]), lengths[batches[-1][0]], limits):
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches


def _has_room(num_sequences: int, longest: int, limits: BatchLimits) -> bool:
    return num_sequences < limits.max_batch_size and (num_sequences + 1) * longest <= limits.max_batch_tokens


def _abort(requests: Sequence[_Request]) -> None:
    for request in requests:
        request.outcome.set_result(PromptFailure("aborted", "The engine was closed before this prompt's turn."))


def _fail(requests: Sequence[_Request], error: Exception) -> None:
    for request in requests:
        if not request.outcome.done():
            request.outcome.set_exception(error)


def _free_memory() -> None:
    gc.collect()
    torch.cuda.empty_cache()
