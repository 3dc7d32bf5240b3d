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
from aftercall.profile import TWEETSUMM, Profile
from training.data.example import Example, Pair
from training.data.service import Target, make_targets
from worker.loading.eos_tokens import find_end
from worker.serving.prompts import PromptEncoder

#: Rows are padded to a multiple of this: memory-efficient attention requires 8, and matrix units prefer 64.
PAD_MULTIPLE = 64
_PADDING = -1
_PROMPT = 0


@dataclass(frozen=True, slots=True)
class Tree:
    """The tokens of one example: a prompt and its completions, each ending with end-of-text where its end is known."""

    prompt: tuple[int, ...]
    completions: tuple[tuple[int, ...], ...]

    @property
    def num_tokens(self) -> int:
        """The tokens that the model computes; a completion's last token is only predicted, never an input."""
        return len(self.prompt) + sum(len(completion) - 1 for completion in self.completions)


class TreeEncoder:
    """Examples as trees, for one tokenizer and profile; a prompt is the very one that serving would make."""

    def __init__(self, tokenizer: Any, profile: Profile = TWEETSUMM) -> None:
        """Raises ModelError if the tokenizer names no end of text, or lacks the profile's chat template."""
        end = find_end(tokenizer)
        if end is None:
            raise ModelError("This tokenizer names no end of text, so no summary would ever end. Set its `eos_token`.")
        self._end = end
        self._prompts = PromptEncoder(tokenizer, profile)

    def encode(self, example: Example, max_prompt_tokens: int) -> Tree:
        """One example: its prompt, and every completion to train on."""
        targets = make_targets(example.references, example.labels, self._prompts.profile)
        prompt = self._prompts.encode(example.text, max_prompt_tokens)
        return Tree(tuple(prompt.token_ids), tuple(map(self._encode_target, targets)))

    def encode_pair(self, example: Example, pair: Pair, max_prompt_tokens: int) -> Tree:
        """One preference: the conversation's prompt, the chosen completion and the rejected one."""
        written = (make_targets((text,), None, self._prompts.profile)[0] for text in (pair.chosen, pair.rejected))
        prompt = self._prompts.encode(example.text, max_prompt_tokens)
        return Tree(tuple(prompt.token_ids), tuple(map(self._encode_target, written)))

    def _encode_target(self, target: Target) -> tuple[int, ...]:
        token_ids = self._prompts.encode_completion(target.text)
        return (*token_ids, self._end) if target.is_whole else tuple(token_ids)


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


def split_rows(trees: Sequence[Tree], max_tokens: int | None) -> list[list[Tree]]:
    """Trees in rows of at most `max_tokens` each, in their order; a longer tree is a row by itself.

    None packs all of them into one row.
    """
    rows: list[list[Tree]] = [[]]
    length = 0
    for tree in trees:
        if max_tokens is not None and rows[-1] and length + tree.num_tokens > max_tokens:
            rows.append([])
            length = 0
        rows[-1].append(tree)
        length += tree.num_tokens
    return rows


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
