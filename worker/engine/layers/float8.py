"""Linear layers in 8 bits for Hopper and later: e4m3 weights and activations, scaled by row.

Answers differ from those of the 16-bit model by the rounding, so it is a choice, never a default.
"""

from typing import Any

import torch
from torch import nn

from aftercall.errors import ModelError
from worker.engine.layers.compile import decoder_layers

_FLOAT8 = torch.float8_e4m3fn
#: What the kernel asks of the sizes of a layer.
_MULTIPLE = 16
_LARGEST = torch.finfo(_FLOAT8).max


class Float8Linear(nn.Module):
    """An `nn.Linear` whose weight is rounded once and whose input is rounded at every call."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight, scale = _round_rows(linear.weight.detach())
        #: `[in, out]`, column by column in memory, as the kernel wants it.
        self.weight = nn.Buffer(weight.t(), persistent=False)
        self.scale = nn.Buffer(scale.t().contiguous(), persistent=False)
        self.bias = linear.bias

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """`hidden @ weight.T + bias` in the type of `hidden`."""
        rows, scale = _round_rows(hidden.flatten(0, -2))
        output: torch.Tensor = torch._scaled_mm(
            rows, self.weight, scale_a=scale, scale_b=self.scale, out_dtype=hidden.dtype, use_fast_accum=True
        )
        output = output.view(*hidden.shape[:-1], -1)
        return output if self.bias is None else output + self.bias


def _round_rows(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Each row scaled so that its largest value is the largest there is."""
    scale = matrix.abs().amax(dim=-1, keepdim=True).float().clamp_(min=1e-12) / _LARGEST
    return (matrix.float() / scale).clamp_(-_LARGEST, _LARGEST).to(_FLOAT8), scale


def round_linears(model: Any) -> None:
    """Replace the linear layers of the decoder; the output layer keeps its bits, since it decides between tokens.

    Raises ModelError if the kernel cannot compute one of them.
    """
    for parent in decoder_layers(model).modules():
        for name, child in parent.named_children():
            if type(child) is nn.Linear:
                _check_sizes(name, child)
                setattr(parent, name, Float8Linear(child))


def _check_sizes(name: str, linear: nn.Linear) -> None:
    if linear.in_features % _MULTIPLE or linear.out_features % _MULTIPLE:
        raise ModelError(
            f"AFTERCALL_QUANTIZATION=fp8 needs layers of sizes that are multiples of {_MULTIPLE}; this model's {name} "
            f"has {linear.in_features} x {linear.out_features}. Set it to auto."
        )
