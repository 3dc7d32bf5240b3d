"""The loss in chunks is the loss of all logits at once, and so are rows that share a step."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.fixtures.model import build_byte_tokenizer, build_tiny_model
from tests.unit.training.examples import make_example
from training.data.splits import Splits
from training.data.trees import Tree, TreeEncoder, collate_trees, model_inputs, split_rows
from training.fit import chunked_loss, forecast
from training.fit.arguments import Outputs
from training.fit.chunked_loss import find_head, sum_loss
from training.fit.recipe import Recipe
from training.fit.train import train_adapter

EXAMPLES = [make_example(str(n), f"Refund {n} sent.", user="order is late " * n) for n in range(1, 9)]


def row_of(tokenizer: Any) -> tuple[dict[str, Tensor], Tensor]:
    trees = [TreeEncoder(tokenizer).encode(example, 230) for example in EXAMPLES[:2]]
    batch = collate_trees(trees, tokenizer.pad_token_id)
    return model_inputs(batch), batch["labels"][0]


def loss_and_gradients(model: Any, inputs: dict[str, Tensor], targets: Tensor, head: Any) -> list[Tensor]:
    model.zero_grad()
    loss = sum_loss(model, inputs, targets, head)
    torch.autograd.backward(loss / len(targets))
    return [loss.detach(), *(weight.grad for weight in model.model.parameters() if weight.grad is not None)]


@pytest.mark.parametrize("family", ["llama", "phi"])
def test_loss_and_gradients_are_those_of_all_logits(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = build_tiny_model(family)
    # Five positions at a time.
    monkeypatch.setattr(chunked_loss, "CHUNK_LOGITS", 5 * len(tiny.tokenizer))
    tiny.model.get_output_embeddings().requires_grad_(False)
    inputs, targets = row_of(tiny.tokenizer)
    head = find_head(tiny.model, inputs, targets)
    assert head is tiny.model.get_output_embeddings()
    whole = loss_and_gradients(tiny.model, inputs, targets, None)
    chunked = loss_and_gradients(tiny.model, inputs, targets, head)
    assert len(whole) == len(chunked) > 10
    for ours, theirs in zip(chunked, whole, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)
    # The layer computes logits again.
    assert tiny.model(**inputs).logits.shape[-1] == tiny.model.config.vocab_size


def test_a_family_that_caps_its_logits_is_computed_at_once() -> None:
    from transformers import Gemma2Config, Gemma2ForCausalLM

    tokenizer = build_byte_tokenizer()
    torch.manual_seed(0)
    config = Gemma2Config(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=32,
        final_logit_softcapping=1.0,
        initializer_range=0.5,
    )
    model = Gemma2ForCausalLM(config).eval().requires_grad_(False)
    assert find_head(model, *row_of(tokenizer)) is None


def test_rows_keep_the_order_and_a_long_tree_is_a_row_by_itself() -> None:
    trees = [Tree(tuple(range(length)), ((1,),)) for length in (30, 30, 90, 20, 20)]
    assert [[tree.num_tokens for tree in row] for row in split_rows(trees, 64)] == [[30, 30], [90], [20, 20]]
    assert split_rows(trees, None) == [trees]


def test_steps_in_short_rows_have_the_losses_of_steps_in_one_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Dropout would draw other random numbers for rows of other lengths.
    recipe = Recipe(
        name="r",
        base="b",
        batch_size=4,
        max_steps=4,
        learning_rate=1e-2,
        lora_dropout=0.0,
        max_prompt_tokens=230,
    )

    def train(name: str) -> list[float | None]:
        tiny = build_tiny_model("llama")
        outputs = Outputs(folder=tmp_path / name)
        _, run = train_adapter(recipe, tiny.model, tiny.tokenizer, Splits(EXAMPLES, ()), outputs)
        return [point.train_loss for point in run.curve]

    short = train("short")
    assert "rows of up to 512 tokens" in capsys.readouterr().out
    monkeypatch.setattr(forecast, "CPU_ROW_TOKENS", 10**9)
    whole = train("whole")
    assert "rows of up to" not in capsys.readouterr().out
    assert short == pytest.approx(whole, rel=1e-3)
