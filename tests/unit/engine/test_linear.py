"""Linear layers laid out or rounded otherwise compute what they computed before."""

import pytest
import torch
from torch import nn

from tests.fixtures.model import build_tiny_model
from worker.engine.layers.float8 import Float8Linear, round_linears
from worker.engine.layers.packed_linear import PackedLinear, pack_linears, unpack_linears


@pytest.mark.parametrize("has_bias", [True, False])
@pytest.mark.parametrize("num_tokens", [1, 3, 200])
def test_a_packed_layer_computes_the_same(has_bias: bool, num_tokens: int) -> None:
    linear = nn.Linear(96, 80, bias=has_bias)
    hidden = torch.randn(1, num_tokens, 96)
    with torch.inference_mode():
        torch.testing.assert_close(PackedLinear(linear)(hidden), linear(hidden))


def test_packing_is_undone() -> None:
    model = build_tiny_model("llama").model
    before = dict(model.named_modules())
    pack_linears(model)
    assert isinstance(model.lm_head, PackedLinear)
    unpack_linears(model)
    assert dict(model.named_modules()) == before


def test_a_rounded_layer_is_close() -> None:
    linear = nn.Linear(256, 128).to(torch.bfloat16)
    # One row and one weight far larger than the others: their scale must not spoil the rest.
    hidden = torch.randn(2, 5, 256, dtype=torch.bfloat16)
    hidden[0, 0] *= 1000
    with torch.inference_mode():
        linear.weight[0] *= 1000
        expected, output = linear(hidden).float(), Float8Linear(linear)(hidden).float()
    lengths = hidden.float().norm(dim=-1)[..., None] * linear.weight.float().norm(dim=-1)
    assert output.shape == expected.shape
    # Three bits of mantissa, twice, over 256 summands.
    assert ((output - expected).abs() / lengths).max() < 0.02


def test_the_output_layer_keeps_its_bits() -> None:
    model = build_tiny_model("phi").model
    round_linears(model)
    assert isinstance(model.get_decoder().layers[0].mlp.fc1, Float8Linear)
    assert type(model.lm_head) is nn.Linear
