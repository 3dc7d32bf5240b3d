"""Peak memory and time of one training step on the CPU: a batch in one row, and in rows with the loss in chunks.

    python -m bench.training_memory --data FOLDER --way row|rows [--loss-on full] [--from 0]

The batch is the recipe's, of the longest conversations from `--from` on, so one step meets the peak of a whole run.
Each way needs a process of its own, as a freed peak stays with the allocator.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from training.data.dataset import load_examples
from training.data.trees import Tree, TreeEncoder, collate_trees, model_inputs, split_rows
from training.fit.chunked_loss import sum_loss
from training.fit.forecast import CPU_ROW_TOKENS, check_head, find_limits, measure_cost, plan_run
from training.fit.lora import add_adapter
from training.fit.recipe import Recipe, get_recipe
from training.fit.reference_choice import choose_references
from training.fit.targets import find_targets
from worker.loading.load import LoadedModel, ModelSettings, load_model

GIB = 1024**3


def read_gib(field: str) -> float:
    """Resident memory of this process: `VmRSS` now, or `VmHWM` at its peak."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields[field].split()[0]) * 1024 / GIB


def read_trees(loaded: LoadedModel, data: str, recipe: Recipe, first: int) -> list[Tree]:
    """A batch of the longest training conversations, from the `first` on."""
    ordered = sorted(load_examples(data, "train"), key=lambda example: len(example.text), reverse=True)
    chosen = choose_references(ordered[first : first + recipe.batch_size], recipe.references)
    encoder = TreeEncoder(loaded.tokenizer)
    return [encoder.encode(example, recipe.max_prompt_tokens) for example in chosen]


def step(
    model: torch.nn.Module, rows: Sequence[Sequence[Tree]], padding_id: int, with_prompt: bool, head: object
) -> None:
    """Forward and backward pass of every row."""
    for row in rows:
        batch = collate_trees(row, padding_id, with_prompt=with_prompt)
        torch.autograd.backward(sum_loss(model, model_inputs(batch), batch["labels"][0], head))


def main() -> None:
    """Load the recipe's model, forecast, and run one step."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--way", choices=["row", "rows"], required=True)
    parser.add_argument("--recipe", default="smollm2-135m-tweetsumm")
    parser.add_argument("--loss-on", choices=["summary", "full"], default="summary")
    parser.add_argument("--from", type=int, default=0, dest="first")
    parser.add_argument("--models", type=Path, default=Path(tempfile.gettempdir()))
    arguments = parser.parse_args()
    recipe = get_recipe(arguments.recipe)
    settings = ModelSettings(recipe.base, recipe.quantization, recipe.compute_dtype, None, "cpu", arguments.models)
    loaded = load_model(settings)
    chosen = read_trees(loaded, arguments.data, recipe, arguments.first)
    padding_id, with_prompt = loaded.tokenizer.pad_token_id, arguments.loss_on == "full"
    model = add_adapter(loaded.model, recipe, find_targets(loaded.model, recipe.target_modules)).train()
    rows, head = [chosen], None
    if arguments.way == "rows":
        head = check_head(model, chosen, padding_id)
        cost = measure_cost(model, chosen, padding_id, with_prompt=with_prompt, head=head)
        plan = plan_run(recipe, cost, chosen, find_limits(model, None), 1)
        print(f"forecast: {plan.num_bytes / GIB:.2f} GiB, {plan.duration_s:.0f} s")
        rows = split_rows(chosen, plan.max_row_tokens or CPU_ROW_TOKENS)
    before, start = read_gib("VmRSS"), time.perf_counter()
    step(model, rows, padding_id, with_prompt, head)
    seconds, num_tokens = time.perf_counter() - start, sum(tree.num_tokens for tree in chosen)
    print(
        f"{arguments.way}, loss on {arguments.loss_on}: {num_tokens} tokens in {len(rows)} rows, {seconds:.0f} s "
        f"({1000 * seconds / num_tokens:.0f} ms a token), peak {read_gib('VmHWM'):.2f} GiB, {before:.2f} before"
    )


if __name__ == "__main__":
    main()
