"""Packed trees have the same losses as one row per reference."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from tests.fixtures.model import TinyModel, build_tiny_model
from tests.unit.training.examples import make_example
from training.data.trees import PAD_MULTIPLE, Tree, collate_trees, encode_tree, model_inputs


@pytest.fixture(scope="module")
def tiny() -> TinyModel:
    return build_tiny_model("llama")


@pytest.fixture
def trees(tiny: TinyModel) -> list[Tree]:
    examples = [
        make_example("a", "Late order.", "The customer asks where order 17 is.", "Late."),
        make_example("b", "Refunded.", user="I want my money back"),
    ]
    return [encode_tree(tiny.tokenizer, example, 240) for example in examples]


def losses_one_by_one(tiny: TinyModel, trees: list[Tree]) -> torch.Tensor:
    losses = []
    for tree in trees:
        for completion in tree.completions:
            logits = tiny.model(torch.tensor([tree.prompt + completion])).logits[0, len(tree.prompt) - 1 : -1]
            losses.append(cross_entropy(logits, torch.tensor(completion), reduction="none"))
    return torch.cat(losses)


@pytest.mark.parametrize("family", ["llama", "phi"])
def test_packed_losses_are_those_of_single_rows(family: str, trees: list[Tree]) -> None:
    tiny = build_tiny_model(family)
    batch = collate_trees(trees, tiny.tokenizer.pad_token_id)
    with torch.no_grad():
        packed = cross_entropy(tiny.model(**model_inputs(batch)).logits[0], batch["labels"][0], reduction="none")
        single = losses_one_by_one(tiny, trees)
    torch.testing.assert_close(packed, single, atol=1e-4, rtol=1e-4)


def test_a_completion_ends_with_end_of_text_and_the_prompt_is_shared(tiny: TinyModel, trees: list[Tree]) -> None:
    end = tiny.tokenizer.eos_token_id
    assert [completion[-1] for tree in trees for completion in tree.completions] == [end] * 4
    assert tiny.tokenizer.decode(trees[0].completions[0][:-1]) == "Late order."
    assert trees[0].num_tokens == len(trees[0].prompt) + sum(len(c) - 1 for c in trees[0].completions)


def test_rows_are_padded_to_the_next_multiple(trees: list[Tree]) -> None:
    batch = collate_trees(trees, 0)
    num_tokens = sum(tree.num_tokens for tree in trees)
    length = batch["input_ids"].shape[1]
    assert length % PAD_MULTIPLE == 0
    assert num_tokens <= length < num_tokens + PAD_MULTIPLE
    assert batch["labels"].shape[1] == len(batch["logits_to_keep"])


def test_the_loss_on_the_full_text_also_covers_the_prompt_but_its_first_token(tiny: TinyModel) -> None:
    """With one reference, the labels are those of the notebook's trainer: the text but for its first token."""
    tree = encode_tree(tiny.tokenizer, make_example("a", "Late order."), 240)
    other = encode_tree(tiny.tokenizer, make_example("b", "Refunded.", user="I want my money back"), 240)
    batch = collate_trees([tree, other], tiny.tokenizer.pad_token_id, with_prompt=True)
    texts = [each.prompt + each.completions[0] for each in (tree, other)]
    assert batch["labels"][0].tolist() == [token for text in texts for token in text[1:]]
    with torch.no_grad():
        packed = cross_entropy(tiny.model(**model_inputs(batch)).logits[0], batch["labels"][0], reduction="none")
        single = [
            cross_entropy(tiny.model(torch.tensor([text])).logits[0, :-1], torch.tensor(text[1:]), reduction="none")
            for text in texts
        ]
    torch.testing.assert_close(packed, torch.cat(single), atol=1e-4, rtol=1e-4)
