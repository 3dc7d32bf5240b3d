"""NF4 weights turned back into plain ones, once, where memory allows it.

A layer of 4 bits is dequantized at every call, which costs more than it saves where memory is no concern; and only
plain weights take an adapter into themselves. The rounding to 4 bits stays: the answers are those of NF4.
"""

import math
from typing import Any

import torch


def dequantize_where_it_fits(model: Any, dtype: torch.dtype, free: int) -> bool:
    """Dequantize `model` in place if `free` bytes of its device allow it; says whether they did."""
    if not fits(_growth(model, dtype), free):
        return False
    model.dequantize(dtype)
    return True


def fits(growth: int, free: int) -> bool:
    """Whether weights may grow by `growth` bytes: at least half of what is free stays, for a KV cache or gradients."""
    return growth <= free // 2


def _growth(model: Any, dtype: torch.dtype) -> int:
    """Bytes that the weights take more once they are plain."""
    quantized = [weight for weight in model.parameters() if hasattr(weight, "quant_state")]
    return sum(math.prod(weight.quant_state.shape) * dtype.itemsize - weight.nbytes for weight in quantized)
