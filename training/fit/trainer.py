"""trl's SFTTrainer over packed trees: the loss covers the tokens that the recipe's `loss_on` names."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor
from trl import SFTTrainer

from training.data.trees import Tree, collate_trees, model_inputs, split_rows
from training.fit.chunked_loss import sum_loss


class TreeTrainer(SFTTrainer):  # type: ignore[misc]  # trl is not typed
    """An SFTTrainer whose batches are packed rows of `training.data.trees`. Everything else is trl's."""

    #: The output layer, to compute the loss in chunks; None: all logits at once.
    head: torch.nn.Module | None = None

    def training_step(
        self, model: torch.nn.Module, inputs: dict[str, Any], num_items_in_batch: Tensor | int | None = None
    ) -> Tensor:
        """Forward and backward pass of one row after the other; their gradients add up to those of the batch."""
        losses = [super(TreeTrainer, self).training_step(model, row, num_items_in_batch) for row in inputs["rows"]]
        return torch.stack(losses).sum()

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """Mean cross-entropy over the labels of a row or a batch, across accumulated batches if there are several."""
        rows = inputs.get("rows", [inputs])
        # accelerate's autocast ends with the model's forward pass, and the output layer may run after it.
        with self.accelerator.autocast():
            total = torch.stack([self._sum(model, row) for row in rows]).sum()
        num_labels = sum(row["labels"].shape[1] - 1 for row in rows)
        loss = total / (num_labels if num_items_in_batch is None else num_items_in_batch)
        if num_items_in_batch is not None and self.args.average_tokens_across_devices:
            loss = loss * self.accelerator.num_processes
        return (loss, {}) if return_outputs else loss

    def _sum(self, model: torch.nn.Module, row: dict[str, Tensor]) -> Tensor:
        return sum_loss(model, model_inputs(row), row["labels"][0, 1:], self.head)


def make_dataset(trees: Sequence[Tree]) -> Dataset:
    """Trees as a dataset for SFTTrainer."""
    return Dataset.from_list([{"prompt": tree.prompt, "completions": tree.completions} for tree in trees])


def make_collator(padding_id: int, *, with_prompt: bool = False, max_row_tokens: int | None = None) -> Any:
    """The function that collates a batch of `make_dataset` into rows of up to `max_row_tokens`, or into one."""
    return partial(_collate, padding_id=padding_id, with_prompt=with_prompt, max_row_tokens=max_row_tokens)


def _collate(
    batch: Sequence[Mapping[str, Any]], padding_id: int, *, with_prompt: bool, max_row_tokens: int | None
) -> dict[str, Any]:
    trees = [Tree(tuple(row["prompt"]), tuple(map(tuple, row["completions"]))) for row in batch]
    rows = [collate_trees(row, padding_id, with_prompt=with_prompt) for row in split_rows(trees, max_row_tokens)]
    # Trainer counts the labels of a batch without the first one, as for ordinary causal labels: add a placeholder.
    ignored = torch.full((1, 1), -100)
    labels = torch.cat([ignored, *(row["labels"] for row in rows)], dim=1)
    marked = [{**row, "labels": torch.cat([ignored, row["labels"]], dim=1)} for row in rows]
    # Trainer counts a batch's tokens by its `input_ids`.
    return {"rows": marked, "labels": labels, "input_ids": torch.cat([row["input_ids"] for row in rows], dim=1)}
