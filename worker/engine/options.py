"""How large an engine is. Knows no model."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """Limits of an engine; `for_device` has the measured ones."""

    #: Sequences that decode together at most.
    max_num_seqs: int
    #: Prompt tokens of one prefill.
    max_num_batched_tokens: int
    #: Prompt tokens that are worth a prefill while others decode.
    min_prefill_tokens: int
    #: Prompt and completion of one sequence; a model's own limit holds besides.
    max_model_len: int = 2048
    #: Share of the memory left after loading that the engine may fill.
    memory_share: float = 0.9
    #: Compile the model's layers (fused kernels; costs seconds at the first step).
    is_compiled: bool = False
    #: Round the linear layers to 8 bits (Hopper and later), for good; answers differ by the rounding.
    is_float8: bool = False

    @classmethod
    def for_device(cls, device: torch.device, *, is_quantized: bool = False) -> "EngineOptions":
        """What ran fastest: a GPU wants many sequences, a CPU wants activations that fit its caches.

        Quantized layers run as they come: compiled, they were tried on a CPU only.
        """
        if device.type == "cuda":
            # The compiler's kernels start at the same generation as flash attention.
            is_recent = torch.cuda.get_device_capability(device) >= (8, 0)
            return cls(
                max_num_seqs=1024,
                max_num_batched_tokens=8192,
                min_prefill_tokens=4096,
                is_compiled=is_recent and not is_quantized,
            )
        return cls(max_num_seqs=32, max_num_batched_tokens=2048, min_prefill_tokens=512, memory_share=0.5)
