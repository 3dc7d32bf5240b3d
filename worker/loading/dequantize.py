"""Dequantizes NF4 weights once, after loading, if memory allows it.

bitsandbytes dequantizes a 4-bit layer at every call, which is slow and pointless when memory is not scarce. An adapter
can also be merged only into plain weights. The rounding to 4 bits remains, so the answers are those of NF4.
"""

import math
from typing import Any

import torch


def dequantize_where_it_fits(model: Any, dtype: torch.dtype, free: int) -> bool:
    """Dequantize `model` in place if the `free` bytes of its device allow it. Returns whether it did."""
    if not fits(_growth(model, dtype), free):
        return False
    model.dequantize(dtype)
    return True


def fits(growth: int, free: int) -> bool:
    """Whether weights may grow by `growth` bytes: half of the free bytes must remain for a KV cache or gradients."""
    return growth <= free // 2


def _growth(model: Any, dtype: torch.dtype) -> int:
    """Additional bytes that the weights take once they are plain."""
    quantized = [weight for weight in model.parameters() if hasattr(weight, "quant_state")]
    return sum(math.prod(weight.quant_state.shape) * dtype.itemsize - weight.nbytes for weight in quantized)
