"""trl's SFTTrainer over packed trees: the loss covers the tokens that the recipe's `loss_on` names."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor
from torch.nn.functional import cross_entropy
from trl import SFTTrainer

from training.data.trees import Tree, collate_trees, model_inputs


class TreeTrainer(SFTTrainer):  # type: ignore[misc]  # trl is not typed
    """An SFTTrainer whose batches are packed rows of `training.data.trees`. Everything else is trl's."""

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """Mean cross-entropy over the labels, across all accumulated batches if there are several."""
        targets = inputs["labels"][0, 1:]
        outputs = model(**model_inputs(inputs), use_cache=False)
        total = cross_entropy(outputs.logits[0].float(), targets, reduction="sum")
        loss = total / (len(targets) if num_items_in_batch is None else num_items_in_batch)
        if num_items_in_batch is not None and self.args.average_tokens_across_devices:
            loss = loss * self.accelerator.num_processes
        return (loss, outputs) if return_outputs else loss


def make_dataset(trees: Sequence[Tree]) -> Dataset:
    """Trees as a dataset for SFTTrainer."""
    return Dataset.from_list([{"prompt": tree.prompt, "completions": tree.completions} for tree in trees])


def make_collator(padding_id: int, *, with_prompt: bool = False) -> Any:
    """The function that collates rows of `make_dataset` into the model's inputs."""
    return partial(_collate, padding_id=padding_id, with_prompt=with_prompt)


def _collate(rows: Sequence[Mapping[str, Any]], padding_id: int, *, with_prompt: bool) -> dict[str, Tensor]:
    trees = [Tree(tuple(row["prompt"]), tuple(map(tuple, row["completions"]))) for row in rows]
    batch = collate_trees(trees, padding_id, with_prompt=with_prompt)
    # Trainer counts the labels of a batch without the first one, as for ordinary causal labels: add a placeholder.
    ignored = torch.full((1, 1), -100)
    return {**batch, "labels": torch.cat([ignored, batch["labels"]], dim=1)}
