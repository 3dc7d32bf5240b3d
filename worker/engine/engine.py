"""The engine: prompts of several callers in one batch that never drains.

Callers block in `generate`; one thread of the engine's own steps: schedule, launch, deliver, collect. While a GPU
works on a step, the host writes out what ended before it and reads the tokens of the step before.
"""

from collections import deque
from collections.abc import Sequence as Seq
from threading import Condition, Thread
from time import monotonic
from typing import NamedTuple, Protocol

from worker.engine.base import ABORTED, Completion, PromptFailure, SamplingSettings
from worker.engine.calls import Call
from worker.engine.memory.oom import OutOfDeviceMemoryError
from worker.engine.sampling import GREEDY, sequence_seed
from worker.engine.scheduler import Scheduler, Step
from worker.engine.sequence import Sequence
from worker.engine.stopping import StopRule

#: Among the tokens of a step: what the model computed for this sequence was no number.
NOT_A_TOKEN = -1

_ABORTED = PromptFailure(ABORTED, "The engine was closed before this prompt was complete.")
_NOT_A_NUMBER = PromptFailure(
    "not_a_number", "The model's numbers overflowed on this prompt. Use compute dtype bfloat16 or float32."
)


class Choices(NamedTuple):
    """What one step chose, one entry a sequence, in the order of the step."""

    #: NOT_A_TOKEN where the model's numbers overflowed.
    token_ids: list[int]
    #: Natural logarithm of each token's probability.
    logprobs: list[float]
    #: Of the distribution that each token was chosen from, in nats.
    entropies: list[float]


class Tokens(Protocol):
    """The tokens of one step, on their way to the host."""

    def wait(self) -> Choices:
        """What the step chose, once the device has it."""
        ...


class Runner(Protocol):
    """What runs a step: a model on its device."""

    max_model_len: int
    vocab_size: int

    @property
    def max_in_flight(self) -> int:
        """Steps that may run before the host reads their tokens."""
        ...

    def launch(self, step: Step) -> Tokens:
        """Start `step`; OutOfDeviceMemoryError if it does not fit."""
        ...

    def close(self) -> None:
        """Free what the device holds."""
        ...


class BatchingEngine:
    """Continuous batching over a runner; implements `worker.engine.base.Engine`."""

    def __init__(self, runner: Runner, scheduler: Scheduler, stop: StopRule, settings: SamplingSettings) -> None:
        self._runner = runner
        self._scheduler = scheduler
        self._stop = stop
        self._settings = settings
        self._inbox: deque[Sequence] = deque()
        self._owners: dict[Sequence, tuple[Call, int]] = {}
        self._in_flight: deque[tuple[Step, Tokens]] = deque()
        self._ended: list[Sequence] = []
        self._wake = Condition()
        self._is_closed = False
        self._error: BaseException | None = None
        self._thread = Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    @property
    def max_prompt_tokens(self) -> int:
        """The longest prompt that leaves room for `max_new_tokens`, in tokens."""
        return self._runner.max_model_len - self._settings.max_new_tokens

    def generate(self, prompts: Seq[Seq[int]], draws: Seq[int] | None = None) -> list[Completion | PromptFailure]:
        """Complete `prompts`, one outcome a prompt, in their order; their batch is shared with other threads'."""
        call = Call(len(prompts))
        accepted: list[tuple[Sequence, int]] = []
        for index, prompt in enumerate(prompts):
            failure = self._check(prompt)
            if failure:
                call.settle(index, failure)
            else:
                accepted.append((self._sequence(prompt, draws[index] if draws else 0), index))
        # Neighbours of one length are read with the least padding where attention pads.
        accepted.sort(key=lambda item: len(item[0].prompt))
        self._submit(call, accepted)
        return call.wait()

    def close(self) -> None:
        """End what runs as aborted, stop the thread and free the device."""
        with self._wake:
            self._is_closed = True
            self._wake.notify()
        self._thread.join()
        self._runner.close()

    def _check(self, prompt: Seq[int]) -> PromptFailure | None:
        if len(prompt) > self.max_prompt_tokens:
            return PromptFailure(
                "prompt_too_long",
                f"The prompt has {len(prompt)} tokens; {self.max_prompt_tokens} leave room for the summary.",
            )
        if not prompt:
            return PromptFailure("engine_error", "The prompt has no tokens.")
        if not 0 <= min(prompt) <= max(prompt) < self._runner.vocab_size:
            # On a GPU such a token would take the whole process along.
            return PromptFailure(
                "engine_error", f"The prompt has a token outside the model's {self._runner.vocab_size} tokens."
            )
        return None

    def _sequence(self, prompt: Seq[int], draw: int) -> Sequence:
        is_sampled = draw > 0 or self._settings.do_sample
        seed = sequence_seed(prompt, self._settings.seed, draw) if is_sampled else GREEDY
        return Sequence(tuple(prompt), self._settings.max_new_tokens, seed)

    def _submit(self, call: Call, accepted: Seq[tuple[Sequence, int]]) -> None:
        with self._wake:
            if self._error is not None:
                call.fail(self._error)
                return
            for sequence, index in accepted:
                if self._is_closed:
                    call.settle(index, _ABORTED)
                else:
                    self._owners[sequence] = (call, index)
                    self._inbox.append(sequence)
            self._wake.notify()

    def _run(self) -> None:
        """The engine's thread: step while there is work, sleep while there is none."""
        try:
            while self._receive():
                self._step()
        except BaseException as error:
            # Whatever ends this thread: nobody may wait for it for ever.
            self._fail_all(error)
            if not isinstance(error, Exception):
                raise
        else:
            self._abort_all()

    def _receive(self) -> bool:
        """Queue what came in, waiting for it if there is nothing else to do; False once closed."""
        with self._wake:
            while not (self._inbox or self._is_closed or self._has_work):
                self._wake.wait()
            while self._inbox:
                self._scheduler.add(self._inbox.popleft())
            return not self._is_closed

    @property
    def _has_work(self) -> bool:
        return bool(self._in_flight or self._ended or self._scheduler.has_work)

    def _step(self) -> None:
        """Schedule, launch, deliver, collect."""
        step = self._scheduler.schedule()
        if step is not None:
            self._launch(step)
        self._deliver()
        while self._in_flight and (step is None or len(self._in_flight) > self._runner.max_in_flight):
            self._collect(*self._in_flight.popleft())

    def _launch(self, step: Step) -> None:
        now = monotonic()
        for sequence in step.sequences:
            if not sequence.admitted_at:
                sequence.admitted_at = now
        try:
            self._in_flight.append((step, self._runner.launch(step)))
        except OutOfDeviceMemoryError as error:
            self._recover(step, error)

    def _recover(self, step: Step, error: OutOfDeviceMemoryError) -> None:
        """Go on with half of what was too much; a sequence that is too much alone fails alone."""
        while self._in_flight:
            self._collect(*self._in_flight.popleft())
        if self._scheduler.shrink(step):
            return
        sequence = step.sequences[0]
        if not sequence.is_finished:
            self._fail(sequence, PromptFailure("out_of_memory", f"The device has no memory for this prompt: {error}"))

    def _collect(self, step: Step, tokens: Tokens) -> None:
        """Wait for a step's tokens and end the sequences that they end."""
        choices = tokens.wait()
        now = monotonic()
        for sequence, token, logprob, entropy in zip(step.sequences, *choices, strict=True):
            sequence.receive(token, logprob, entropy)
            if sequence.is_finished:
                continue  # It ended with a step before; this one had been launched by then.
            if token == NOT_A_TOKEN:
                self._fail(sequence, _NOT_A_NUMBER)
                continue
            reason = self._stop.finish_reason(sequence.completion, sequence.max_new_tokens)
            if reason is not None:
                sequence.finish_reason, sequence.ended_at = reason, now
                self._scheduler.finish(sequence)
                self._ended.append(sequence)

    def _fail(self, sequence: Sequence, failure: PromptFailure) -> None:
        """End one sequence without a completion."""
        sequence.failure = failure
        self._scheduler.finish(sequence)
        self._ended.append(sequence)

    def _deliver(self) -> None:
        """Write out what ended; a batch that ends as a whole takes a while, in which the device need not idle."""
        for sequence in self._ended:
            call, index = self._owners.pop(sequence)
            call.settle(index, sequence.failure or self._completion(sequence))
        self._ended.clear()

    def _completion(self, sequence: Sequence) -> Completion:
        return Completion(
            text=self._stop.text(sequence.completion),
            num_prompt_tokens=len(sequence.prompt),
            num_completion_tokens=len(sequence.completion),
            finish_reason=sequence.finish_reason or "length",
            duration_s=sequence.ended_at - sequence.admitted_at,
            token_ids=tuple(sequence.completion),
            logprobs=tuple(sequence.logprobs),
            max_entropy=sequence.max_entropy,
        )

    def _abort_all(self) -> None:
        with self._wake:
            for call, index in self._owners.values():
                call.settle(index, _ABORTED)
            self._owners.clear()

    def _fail_all(self, error: BaseException) -> None:
        with self._wake:
            self._error = error
            for call, _ in self._owners.values():
                call.fail(error)
            self._owners.clear()
