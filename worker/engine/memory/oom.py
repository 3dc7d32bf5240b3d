"""Running out of the device's memory: how to tell, and how much still fits. Knows no model and no cache."""

from collections.abc import Callable

import torch

#: A device without memory for a prefill of so few tokens serves no ordinary conversation.
_LEAST_TOKENS = 256


class OutOfDeviceMemoryError(Exception):
    """A step did not fit into the device's memory; nothing of it counts."""


def is_out_of_memory(error: BaseException) -> bool:
    """A GPU's allocator has a class for it, the CPU's has a sentence."""
    if isinstance(error, OutOfDeviceMemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def find_fitting(num_tokens: int, measure: Callable[[int], int]) -> tuple[int, int]:
    """How many of `num_tokens` fit into a prefill, by halves, and the bytes that they take.

    Args:
        measure: runs a prefill of so many tokens; its bytes, or OutOfDeviceMemoryError.

    Raises OutOfDeviceMemoryError if not even a small one fits.
    """
    while True:
        try:
            return num_tokens, measure(num_tokens)
        except OutOfDeviceMemoryError:
            if num_tokens // 2 < _LEAST_TOKENS:
                raise
        num_tokens //= 2
