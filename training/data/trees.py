"""Examples as tokens: one tree per example, several trees packed into a row.

The 2 to 5 references of a conversation share its prompt, so the prompt is computed once: each reference attends to
the prompt and to itself, but not to its siblings or to another tree. The gradient equals that of one row per
reference, with about 40% of the tokens. The output layer runs only at the positions that predict a reference's tokens.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from aftercall.errors import ModelError
from training.data.dataset import Example
from worker.loading.eos_tokens import find_end
from worker.serving.prompts import tokenize

#: Rows are padded to a multiple of this: memory-efficient attention requires 8, and matrix units prefer 64.
PAD_MULTIPLE = 64
_PADDING = -1
_PROMPT = 0


@dataclass(frozen=True, slots=True)
class Tree:
    """The tokens of one example: a prompt and its completions, each ending with end-of-text."""

    prompt: tuple[int, ...]
    completions: tuple[tuple[int, ...], ...]

    @property
    def num_tokens(self) -> int:
        """The tokens that the model computes; a completion's last token is only predicted, never an input."""
        return len(self.prompt) + sum(len(completion) - 1 for completion in self.completions)


def encode_tree(tokenizer: Any, example: Example, max_prompt_tokens: int) -> Tree:
    """One example as a tree; its prompt is the very one that serving would make.

    Raises ModelError if the tokenizer names no end of text.
    """
    end = find_end(tokenizer)
    if end is None:
        raise ModelError("This tokenizer names no end of text, so no summary would ever end. Set its `eos_token`.")
    completions = [
        (*tokenizer(reference, add_special_tokens=False)["input_ids"], end) for reference in example.references
    ]
    return Tree(tuple(tokenize(example.text, tokenizer, max_prompt_tokens).token_ids), tuple(completions))


def collate_trees(trees: Sequence[Tree], padding_id: int, *, with_prompt: bool = False) -> dict[str, Tensor]:
    """Pack trees into one row of shape (1, length); `model_inputs` turns it into a model's arguments.

    The labels are the references' tokens, and those of the prompts as well `with_prompt`: each prompt's once, whatever
    the number of its references, and without its first token, which nothing predicts.
    """
    tokens: list[int] = []
    positions: list[int] = []
    tree_of: list[int] = []
    branch_of: list[int] = []
    predicting: list[int] = []
    targets: list[int] = []
    for number, tree in enumerate(trees):
        length = len(tree.prompt)
        last = len(tokens) + length - 1
        tokens += tree.prompt
        positions += range(length)
        branch_of += [_PROMPT] * length
        if with_prompt:
            predicting += range(last - length + 1, last)
            targets += tree.prompt[1:]
        for branch, completion in enumerate(tree.completions, start=1):
            predicting += [last, *range(len(tokens), len(tokens) + len(completion) - 1)]
            targets += completion
            tokens += completion[:-1]
            positions += range(length, length + len(completion) - 1)
            branch_of += [branch] * (len(completion) - 1)
        tree_of += [number] * (len(tokens) - len(tree_of))
    padding = -len(tokens) % PAD_MULTIPLE
    return {
        "input_ids": torch.tensor([tokens + [padding_id] * padding]),
        "position_ids": torch.tensor([positions + [0] * padding]),
        "tree_of": torch.tensor(tree_of + [_PADDING] * padding),
        "branch_of": torch.tensor(branch_of + [_PROMPT] * padding),
        "logits_to_keep": torch.tensor(predicting),
        "labels": torch.tensor([targets]),
    }


def model_inputs(batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A model's arguments for a collated batch. The mask is built on the batch's device, which saves a transfer."""
    return {
        "input_ids": batch["input_ids"],
        "position_ids": batch["position_ids"],
        "attention_mask": _attention_mask(batch["tree_of"], batch["branch_of"])[None, None],
        "logits_to_keep": batch["logits_to_keep"],
    }


def _attention_mask(tree_of: Tensor, branch_of: Tensor) -> Tensor:
    """Which positions (columns) each position (row) attends to: earlier ones in its tree's prompt or its own branch."""
    length = tree_of.shape[0]
    is_earlier = torch.ones(length, length, dtype=torch.bool, device=tree_of.device).tril()
    is_same_tree = tree_of[:, None] == tree_of[None, :]
    is_visible_branch = (branch_of[None, :] == _PROMPT) | (branch_of[:, None] == branch_of[None, :])
    return is_earlier & is_same_tree & is_visible_branch
