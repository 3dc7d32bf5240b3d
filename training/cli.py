"""The commands that need a model: train and evaluate. Thin: each calls its module.

What needs torch is imported inside the command, so that --help answers at once.
"""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from aftercall.errors import AdapterError
from training.home import open_home, register, resolve, served_now

RUNS_DIR = Path("experiments/runs")


def recipe_options(command: Any) -> Any:
    """The options that change a recipe; each is named as the recipe's own field."""
    for option in (
        click.option("--base", help="Another base model."),
        click.option("--references", type=click.Choice(["first", "all", "agreeing", "closest"])),
        click.option("--epochs", "num_epochs", type=float),
        click.option("--max-steps", type=int, help="End after so many steps."),
        click.option("--learning-rate", type=float),
        click.option("--rank", "lora_r", type=int, help="Rank of the LoRA matrices."),
        click.option("--batch-size", type=int, help="Conversations a step."),
        click.option("--patience", type=int, help="Stop after so many epochs without a lower validation loss."),
        click.option("--seed", type=int),
    ):
        command = option(command)
    return command


@click.command()
@click.option("--recipe", "name", default="smollm2-135m-tweetsumm", show_default=True, help="Recipe to train by.")
@click.option("--data", "sources", multiple=True, required=True, help="Labelled conversations; may be repeated.")
@click.option("--resume", "resumed", metavar="RUN", help="Go on from that run's last checkpoint.")
@click.option("--push-to-hub", "hub_model_id", metavar="REPOSITORY", help="Push each saved adapter there.")
@click.option("--gpus", "num_gpus", type=click.IntRange(min=1), default=1, show_default=True, help="GPUs that train.")
@click.option("--compile", "is_compiling", is_flag=True, help="Compile the layers: a slow start, fast steps.")
@recipe_options
def train(
    name: str,
    sources: tuple[str, ...],
    resumed: str | None,
    hub_model_id: str | None,
    num_gpus: int,
    is_compiling: bool,
    **changes: Any,
) -> None:
    """Train an adapter, judge it, and enter it as a candidate.

    --data takes Salesforce/dialogstudio, a folder of train and validation files, a file of DialogStudio rows, or a CSV
    of conversation and summary. Options change single values of the recipe.
    """
    from training import show
    from training.recipe import get_recipe
    from training.refresh import Plan, refresh
    from training.speed import Speed
    from training.splits import load_splits
    from training.train import Outputs

    recipe = replace(get_recipe(name), **{field: value for field, value in changes.items() if value is not None})
    folder = RUNS_DIR / (resumed or f"{recipe.name}-{datetime.now(UTC):%Y%m%d-%H%M%S}")
    splits = load_splits(sources)
    show.splits(splits)
    with open_home() as home:
        outputs = Outputs(folder=folder, is_logged=True, hub_model_id=hub_model_id, is_resuming=resumed is not None)
        plan = Plan(
            recipe=recipe,
            sources=sources,
            splits=splits,
            outputs=outputs,
            adapters_dir=home.settings.adapters_dir,
            settings=home.settings,
            served=served_now(home, recipe.base),
            speed=Speed(num_processes=num_gpus, is_compiling=is_compiling),
        )
        show.registered(register(home, refresh(plan)))


@click.command()
@click.argument("adapter", default="active")
@click.option("--data", "sources", multiple=True, required=True, help="Labelled conversations; may be repeated.")
@click.option("--split", type=click.Choice(["validation", "test"]), default="validation", show_default=True)
@click.option("--with-base", is_flag=True, help="Also the base model without adapter.")
def evaluate(adapter: str, sources: tuple[str, ...], split: str, with_base: bool) -> None:
    """Judge what is served with ADAPTER: a digest, a folder, `active`, or `none` for the base model alone.

    The worker's own model, prompt, engine and decoding write the summaries. The judgement on the validation split is
    kept beside the adapter, where the gate finds it. Baselines are judged along; an active adapter that was judged on
    the same conversations is shown beside it.
    """
    from training import show
    from training.baselines import judge_baselines
    from training.judgement import find_comparable, save_judgement
    from training.serving import judge_base_alike, judge_served, load_split

    examples = load_split(sources, split)
    with open_home() as home:
        folder = resolve(home, adapter)
        evaluation = judge_served(home.settings, folder, examples)
        judged = {"this adapter" if folder else "base model alone": evaluation.judgement}
        active = served_now(home, home.settings.base_model)
        if active and active.resolve() != folder and (kept := find_comparable(active, evaluation.judgement)):
            judged["active now"] = kept
        if with_base and folder:
            judged["base model alone"] = judge_base_alike(home.settings, evaluation, examples)
        judged |= {each.name: each for each in judge_baselines(examples)}
        show.evaluation(evaluation, judged)
    # The gate reads the judgement on the validation split.
    if folder and split == "validation":
        # Last, as an adapter may lie where this user cannot write: what took minutes has been shown by then.
        try:
            save_judgement(folder, evaluation.judgement, evaluation.figures())
        except AdapterError as error:
            raise AdapterError(f"shown, not kept: {error}") from error
