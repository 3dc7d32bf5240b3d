"""How large an engine is. Knows no model."""

from dataclasses import dataclass, replace

import torch

from worker.engine.attention.select import Backend, compute_capability


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """Limits of an engine; `for_device` has the measured ones."""

    #: Sequences that decode together at most.
    max_num_seqs: int
    #: Prompt tokens of one prefill.
    max_num_batched_tokens: int
    #: Prompt tokens that are worth a prefill while others decode.
    min_prefill_tokens: int
    #: Prompt and completion of one sequence, in tokens; a model's own limit holds as well.
    max_model_len: int = 2048
    #: Share of the memory left after loading that the engine may fill.
    memory_share: float = 0.9
    #: Compile the model's layers (fused kernels; costs seconds at the first step).
    is_compiled: bool = False
    #: Round the linear layers to 8 bits (Hopper and later), for good; answers differ by the rounding.
    is_float8: bool = False
    #: How attention is computed; what runs on the device by default.
    attention: Backend = "auto"
    #: Apply GELU inside the matrix product before it, where a model allows.
    is_gelu_fused: bool = False
    #: Launch steps as CUDA graphs where attention allows.
    is_captured: bool = True

    def limited_to(self, num_tokens: int) -> "EngineOptions":
        """The same with no more than `num_tokens` in a prefill."""
        least = min(self.min_prefill_tokens, max(1, num_tokens // 2))
        return replace(self, max_num_batched_tokens=num_tokens, min_prefill_tokens=least)

    def with_whole_prompts(self, max_model_len: int) -> "EngineOptions":
        """The same with room for a prompt of `max_model_len` tokens in a prefill, so that memory is planned for it."""
        return replace(self, max_num_batched_tokens=max(self.max_num_batched_tokens, max_model_len))

    @classmethod
    def for_device(cls, device: torch.device, *, is_int8: bool = False) -> "EngineOptions":
        """What ran fastest: a GPU wants many sequences, a CPU wants activations that fit its caches."""
        if device.type == "cuda":
            return cls.for_gpu(compute_capability(device), is_int8=is_int8)
        return cls(max_num_seqs=32, max_num_batched_tokens=2048, min_prefill_tokens=512, memory_share=0.5)

    @classmethod
    def for_gpu(cls, capability: tuple[int, int], *, is_int8: bool = False) -> "EngineOptions":
        """For a GPU of this compute capability. Layers of 8 bits run as they come: their calls wait for the host."""
        # Triton, in which the compiler writes its kernels, supports no older one.
        is_compiled = capability >= (8, 0) and not is_int8
        return cls(
            max_num_seqs=1024,
            max_num_batched_tokens=8192,
            min_prefill_tokens=4096,
            is_compiled=is_compiled,
            is_gelu_fused=is_compiled,
            is_captured=not is_int8,
        )
