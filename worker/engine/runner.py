"""Runs a transformers model on packed batches: builds its inputs, holds its KV cache, samples.

Knows sequences and tensors; knows no queue, no text and no thread.
"""

from collections.abc import Sequence as Seq
from functools import partial
from typing import Any

import torch

from aftercall.errors import ModelError
from worker.engine.attention.hook import IMPLEMENTATION
from worker.engine.attention.select import choose_backend
from worker.engine.base import SamplingSettings
from worker.engine.engine import NOT_A_TOKEN, Choices
from worker.engine.forward import Forward
from worker.engine.graphs import StepGraph, decode_sizes, prefill_sizes
from worker.engine.inputs import PrefillInputs, PrefillSize, pack_decode, pack_prompts
from worker.engine.layers.compile import compile_layers, restore_layers
from worker.engine.layers.float8 import round_linears
from worker.engine.layers.fused_gelu import fuse_activations, unfuse_activations
from worker.engine.layers.packed_linear import pack_linears, unpack_linears
from worker.engine.memory.kv_cache import CacheShape, LayerCache, allocate_cache, copy_pages, free_bytes
from worker.engine.memory.oom import OutOfDeviceMemoryError, find_fitting, is_out_of_memory
from worker.engine.memory.pages import SCRATCH_PAGE
from worker.engine.options import EngineOptions
from worker.engine.sampling import choose_tokens, measure_choices, measuring_bytes
from worker.engine.scheduler import Step
from worker.engine.sequence import Sequence
from worker.engine.state import DecodeState
from worker.engine.trial import NUM_TRIAL_PAGES, check_answers, own_logits
from worker.engine.unsupported import unsupported

_HELP = "Use quantization nf4, a shorter context, or a device with more memory."

#: Tokens of a page where attention reads page by page.
_PAGE_SIZE = 16


class SampledTokens:
    """The tokens of one step and how likely they were, on their way to the host."""

    def __init__(self, tokens: torch.Tensor) -> None:
        self._tokens = tokens
        self._event: torch.cuda.Event | None = None
        if tokens.is_cuda:
            self._tokens = torch.empty(tokens.shape, dtype=tokens.dtype, pin_memory=True)
            self._tokens.copy_(tokens, non_blocking=True)
            self._event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._event.record()

    def wait(self) -> Choices:
        """The tokens, once the device has them."""
        if self._event is not None:
            self._event.synchronize()
        token_ids, logprobs, entropies = self._tokens.unbind(dim=1)
        return Choices(token_ids.long().tolist(), logprobs.tolist(), entropies.tolist())


class ModelRunner:
    """A model with its cache: `launch` runs one step of the scheduler."""

    def __init__(self, model: Any, settings: SamplingSettings, options: EngineOptions) -> None:
        self._model = model
        self._settings = settings
        #: As they fit: a small GPU has less room for a prefill.
        self.options = options
        self.device: torch.device = model.device
        self._dtype: torch.dtype = model.dtype
        backend = choose_backend(self.device, self._dtype, options.attention)
        self._is_captured = options.is_captured and backend.is_capturable
        try:
            self.max_model_len = _max_model_len(model.config, options.max_model_len)
            self.vocab_size: int = model.config.get_text_config().vocab_size
            self._shape = CacheShape.of(model.config)
        except AttributeError as error:
            raise unsupported(str(error)) from error
        if self.device.type == "cuda":
            self.options = options.with_whole_prompts(self.max_model_len)
        self.page_size = _PAGE_SIZE if backend.is_paged else self.max_model_len
        self._state = DecodeState(options.max_num_seqs, -(-self.max_model_len // self.page_size), self.device)
        self._forward = Forward(model, backend, self.page_size)
        self._prefills: dict[PrefillSize, StepGraph] = {}
        self._decodes: dict[int, StepGraph] = {}
        try:
            self._start()
        except (RuntimeError, OutOfDeviceMemoryError) as error:
            if not is_out_of_memory(error):
                raise
            line = str(error).partition("\n")[0].rstrip(".")
            raise ModelError(f"The device has no memory for the engine beside this model: {line}. {_HELP}") from error

    @property
    def max_in_flight(self) -> int:
        """The host works while a GPU does.

        One step ahead hides the engine's own work, a second one that of the process's other threads.
        """
        return 2 if self.device.type == "cuda" else 0

    def launch(self, step: Step) -> SampledTokens:
        """Run one step; OutOfDeviceMemoryError if it does not fit."""
        try:
            with torch.inference_mode():
                run = self._prefill if step.is_prefill else self._decode
                return SampledTokens(run(step.sequences))
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise OutOfDeviceMemoryError(str(error).partition("\n")[0]) from error
            raise

    def close(self) -> None:
        """Give the model back as it came and free the cache."""
        self._model.set_attn_implementation(self._implementation)
        restore_layers(self._model)
        unfuse_activations(self._model)
        unpack_linears(self._model)
        self._forward.layers = []
        self._prefills, self._decodes = {}, {}

    def _start(self) -> None:
        """From the model as it came to steps ready to be launched."""
        self._take_over()
        self._optimize_layers()
        self._forward.layers = self._allocate(1)
        self.num_pages = self._plan()
        self._forward.layers = self._allocate(self.num_pages)
        if self._is_captured:
            self._capture()

    def _take_over(self) -> None:
        """Put the engine's attention in the place of the model's own, if it comes to the same answers."""
        expected = own_logits(self._model, self.max_model_len)
        self._implementation = self._model.config._attn_implementation
        self._model.set_attn_implementation(IMPLEMENTATION)
        self._forward.layers = self._allocate(NUM_TRIAL_PAGES)
        check_answers(self._model, self.max_model_len, self._forward, expected)

    def _optimize_layers(self) -> None:
        """Put faster layers in the place of the model's own, as the options and the device have them."""
        if self.options.is_float8:
            round_linears(self._model)
        if self.options.is_gelu_fused:
            fuse_activations(self._model)
        if self.options.is_compiled:
            compile_layers(self._model)
        if self.device.type == "cpu":
            pack_linears(self._model)

    def _prefill(self, sequences: Seq[Sequence]) -> torch.Tensor:
        self._state.enter(sequences)
        needed = PrefillSize.of(sequences)
        size = next((size for size in self._prefills if size.holds(needed)), None)
        inputs = pack_prompts(sequences, self.page_size, size or needed, self._state.scratch_row)
        if size is not None:
            tokens = self._prefills[size](self._state.staged(inputs))[: len(sequences)]
        else:
            tokens = self._prefill_packed(self._state.upload(inputs), needed, sequences)
        self._share_prefills(sequences)
        return tokens

    def _share_prefills(self, sequences: Seq[Sequence]) -> None:
        """Give the sequences that were read with another one their own copy of its keys and values."""
        shared = [(s.read_with, s) for s in sequences if s.read_with is not None]
        pages = [pair for read, s in shared for pair in zip(read.pages, s.pages, strict=True)]
        num_tokens = max((s.num_tokens for _, s in shared), default=0)
        sources, targets = [source for source, _ in pages], [target for _, target in pages]
        copy_pages(self._forward.layers, sources, targets, min(num_tokens, self.page_size))

    def _prefill_packed(self, row: torch.Tensor, size: PrefillSize, sequences: Seq[Sequence] = ()) -> torch.Tensor:
        """The prompts packed in `row`; with nothing but tensors when it is captured."""
        inputs = PrefillInputs.of(row, size)
        self._state.seeds[inputs.rows] = inputs.seeds
        logits = self._forward.prefill(inputs, sequences)
        return self._sample(logits, inputs.rows, inputs.positions[inputs.last])

    def _decode(self, sequences: Seq[Sequence]) -> torch.Tensor:
        self._state.update_pages(sequences)
        num_seqs = len(sequences)
        size = next((size for size in self._decodes if size >= num_seqs), None)
        inputs = pack_decode(sequences, size or num_seqs, self._state.scratch_row)
        if size is not None:
            return self._decodes[size](self._state.staged(inputs))[:num_seqs]
        return self._decode_rows(self._state.upload(inputs), sequences)

    def _decode_rows(self, inputs: torch.Tensor, sequences: Seq[Sequence] = ()) -> torch.Tensor:
        """One token for each row; with nothing but tensors when it is captured."""
        rows, positions = inputs
        logits = self._forward.decode(self._state.last_tokens[rows], positions, self._state.tables[rows], sequences)
        return self._sample(logits, rows, positions)

    def _sample(self, logits: torch.Tensor, rows: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """Choose a token for each row, and leave it where the next step finds its input.

        Returns `[rows, 3]`, tokens, log-probabilities and entropies, in one tensor so that one copy brings them to the
        host; float64 holds every token id exactly.
        """
        tokens = choose_tokens(logits, self._state.seeds[rows], positions, self._settings)
        self._state.last_tokens[rows] = tokens
        # What is no number counts as the largest: where a row has one, it is chosen.
        chosen = logits.gather(-1, tokens[:, None]).squeeze(-1)
        seen = tokens.masked_fill(~chosen.isfinite(), NOT_A_TOKEN)
        return torch.stack([each.double() for each in (seen, *measure_choices(logits, tokens))], dim=1)

    def _allocate(self, num_pages: int) -> list[LayerCache]:
        return allocate_cache(self._shape, num_pages, self.page_size, self._dtype, self.device)

    def _plan(self) -> int:
        """How many pages fit beside the largest step, which a GPU tries out; no more than all sequences need."""
        page_bytes = self._shape.page_bytes(self.page_size, self._dtype)
        max_pages = self._state.tables.shape[1]
        room = int(free_bytes(self.device) * self.options.memory_share)
        if self.device.type == "cuda":
            # Graphs keep memory of their own, beside that of a prefill too long for any of them.
            num_prefills = 2 if self._is_captured else 1
            room -= num_prefills * self._fit_prefill() + self.options.max_num_seqs * self.vocab_size * 8
            room -= measuring_bytes(self.vocab_size)
        num_pages = min(room // page_bytes, self.options.max_num_seqs * max_pages) + 1
        if num_pages <= max_pages:
            raise ModelError(
                f"{max(0, room) / 2**30:.1f} GiB are left for the KV cache, and one sequence of {self.max_model_len} "
                f"tokens takes {max_pages * page_bytes / 2**30:.1f} GiB. {_HELP}"
            )
        return num_pages

    def _fit_prefill(self) -> int:
        """Bytes that the largest prefill needs; where there is no memory for it, the options get a smaller one."""
        num_tokens, num_bytes = find_fitting(self.options.max_num_batched_tokens, self._measure_prefill)
        if num_tokens < self.options.max_num_batched_tokens:
            self.options = self.options.limited_to(num_tokens)
        return num_bytes

    def _measure_prefill(self, max_tokens: int) -> int:
        """Bytes that a prefill needs beside weights and cache; all its keys go to the scratch page."""
        torch.cuda.reset_peak_memory_stats(self.device)
        before = torch.cuda.memory_allocated(self.device)
        num_prompts = max(1, max_tokens // self.max_model_len)
        num_tokens = min(self.max_model_len, max_tokens)
        num_pages = -(-num_tokens // self.page_size)
        prompts = [
            Sequence((0,) * num_tokens, 1, row=self._state.scratch_row, pages=[SCRATCH_PAGE] * num_pages)
            for _ in range(num_prompts)
        ]
        self.launch(Step(tuple(prompts), is_prefill=True)).wait()
        peak: int = torch.cuda.max_memory_allocated(self.device) - before
        torch.cuda.empty_cache()
        return peak

    @torch.inference_mode()
    def _capture(self) -> None:
        """Every step in every size, largest first: the others fit into the memory that it takes."""
        pool, scratch_row = torch.cuda.graph_pool_handle(), self._state.scratch_row
        prefills, decodes = {}, {}
        max_num_seqs = self.options.max_num_seqs
        for size in reversed(prefill_sizes(self.options.max_num_batched_tokens, max_num_seqs)):
            row = self._state.upload(pack_prompts((), self.page_size, size, scratch_row))
            prefills[size] = StepGraph(partial(self._prefill_packed, size=size), row, pool)
        for num_seqs in reversed(decode_sizes(max_num_seqs)):
            inputs = self._state.upload(pack_decode((), num_seqs, scratch_row))
            decodes[num_seqs] = StepGraph(self._decode_rows, inputs, pool)
        # A step takes the first that is large enough.
        self._prefills, self._decodes = dict(reversed(prefills.items())), dict(reversed(decodes.items()))


def _max_model_len(config: Any, limit: int) -> int:
    """What model and options allow; a sliding window counts as the end, since pages do not slide."""
    text = config.get_text_config()
    window = getattr(text, "sliding_window", None)
    lengths: tuple[int, ...] = (limit, text.max_position_embeddings, window or limit)
    return min(lengths)
