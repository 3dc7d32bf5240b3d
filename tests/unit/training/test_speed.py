"""A dequantized layer computes the same as the 4-bit one, forward and backward."""

import pytest
import torch
from bitsandbytes.nn import Linear4bit
from torch import nn

from training.fit.speed import DequantizedLinear, dequantize_layers


class Model(nn.Module):
    """One layer of 4 bits and one of none."""

    def __init__(self, is_loaded_in_4bit: bool) -> None:
        super().__init__()
        self.is_loaded_in_4bit = is_loaded_in_4bit
        torch.manual_seed(0)
        weights = nn.Linear(64, 128).state_dict()
        self.quantized = Linear4bit(64, 128, compute_dtype=torch.bfloat16, quant_type="nf4")
        self.quantized.load_state_dict(weights)
        self.quantized.to("cpu")
        self.plain = nn.Linear(128, 8)


def run(model: Model) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    hidden = torch.randn(4, 64, requires_grad=True)
    output = model.quantized(hidden)
    output.square().sum().backward()
    assert hidden.grad is not None
    return output.detach(), hidden.grad


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_dequantized_layer_computes_the_same_as_the_4_bit_one() -> None:
    model = Model(is_loaded_in_4bit=True)
    output, gradient = run(model)
    assert dequantize_layers(model)
    assert isinstance(model.quantized, DequantizedLinear)
    assert type(model.plain) is nn.Linear
    again, gradient_again = run(model)
    assert again.dtype == output.dtype
    torch.testing.assert_close(again, output, atol=2e-2, rtol=2e-2)
    torch.testing.assert_close(gradient_again, gradient, atol=2e-2, rtol=2e-2)
    assert not any(parameter.requires_grad for parameter in model.quantized.parameters())


def test_a_model_without_4_bit_layers_is_unchanged() -> None:
    model = Model(is_loaded_in_4bit=False)
    assert not dequantize_layers(model)
    assert isinstance(model.quantized, Linear4bit)
