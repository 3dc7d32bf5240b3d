"""The options of `aftercall train` that override a recipe's values: one per value."""

from typing import Any

import click

recipe_option = click.option(
    "--recipe",
    "name",
    metavar="NAME|FILE",
    default="smollm2-135m-tweetsumm",
    show_default=True,
    help="Built-in recipe or TOML file.",
)

_ABOVE_ZERO = click.FloatRange(min=0, min_open=True)
_WHOLE = click.IntRange(min=0)
_COUNT = click.IntRange(min=1)

_OPTIONS = (
    click.option("--base", help="Another base model."),
    click.option(
        "--quantization",
        type=click.Choice(["nf4", "int8", "none", "auto"]),
        help="How the base model's weights are stored while training.",
    ),
    click.option("--compute-dtype", type=click.Choice(["auto", "bfloat16", "float16", "float32"])),
    click.option(
        "--target", "target_modules", multiple=True, help="all-linear, attention, or a layer's name; may be repeated."
    ),
    click.option("--profile", help="How the model will be asked: a profile's name or TOML file."),
    click.option("--references", type=click.Choice(["first", "all", "agreeing", "closest"])),
    click.option(
        "--method",
        type=click.Choice(["sft", "dpo", "sft+dpo"]),
        help="Train on summaries, on what reviewers preferred to what, or on one after the other.",
    ),
    click.option("--dpo-beta", type=_ABOVE_ZERO, help="How strongly dpo holds the model to what it was before."),
    click.option("--dpo-learning-rate", type=_ABOVE_ZERO),
    click.option("--dpo-epochs", type=_ABOVE_ZERO),
    click.option(
        "--loss-on", type=click.Choice(["summary", "full"]), help="Tokens the loss covers; full: also the prompt's."
    ),
    click.option("--rank", "lora_r", type=_COUNT, help="Rank of the LoRA matrices."),
    click.option("--alpha", "lora_alpha", type=_COUNT, help="Scaling of the adapter, divided by its rank."),
    click.option("--dropout", "lora_dropout", type=click.FloatRange(0, 0.9), help="Dropout of the adapter's input."),
    click.option("--rank-stabilized/--no-rank-stabilized", "is_rank_stabilized", default=None, help="Use rsLoRA."),
    click.option("--batch-size", type=_COUNT, help="Conversations per step and GPU."),
    click.option("--accumulate", "num_accumulated_batches", type=_COUNT, help="Batches added up for one step."),
    click.option("--learning-rate", type=_ABOVE_ZERO),
    click.option(
        "--schedule",
        type=click.Choice(["cosine", "linear", "constant", "constant_with_warmup", "polynomial", "inverse_sqrt"]),
    ),
    click.option(
        "--warmup", "warmup_share", type=click.FloatRange(0, 1), help="Share of steps with a rising learning rate."
    ),
    click.option("--weight-decay", type=click.FloatRange(min=0)),
    click.option("--epochs", "num_epochs", type=_ABOVE_ZERO),
    click.option("--max-steps", type=_WHOLE, help="Stop after this many steps; 0: no limit."),
    click.option("--max-prompt-tokens", type=click.IntRange(min=16), help="Longer prompts are shortened."),
    click.option(
        "--gradient-checkpointing/--no-gradient-checkpointing",
        "is_gradient_checkpointing",
        default=None,
        help="Recompute activations instead of storing them: slower, with less memory.",
    ),
    click.option(
        "--patience", type=_WHOLE, help="Stop after this many epochs without a lower validation loss; 0: never."
    ),
    click.option("--seed", type=click.IntRange(min=0, max=2**32 - 1)),
    click.option("--data-order", type=_WHOLE, help="Another order of the conversations, from the same weights."),
    click.option("--averaged-runs", "num_averaged_runs", type=_COUNT, help="Train this many orders and average them."),
    click.option(
        "--report-to",
        multiple=True,
        type=click.Choice(["tensorboard", "mlflow", "trackio", "wandb"]),
        help="Where losses are reported; may be repeated.",
    ),
)


_GIB = 1024**3


def _to_bytes(context: click.Context, option: click.Parameter, value: float | None) -> int | None:
    return None if value is None else round(value * _GIB)


memory_option = click.option(
    "--max-memory",
    "max_bytes",
    metavar="GIB",
    type=_ABOVE_ZERO,
    callback=_to_bytes,
    help="Memory that training may take on top of the loaded model; by default 70% of what is free.",
)


def recipe_options(command: Any) -> Any:
    """Add the options that override a recipe's values; each is passed on under the recipe's field name."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
