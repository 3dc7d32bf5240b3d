"""The commands that need a model: train and evaluate. Thin: each calls its module.

What needs torch is imported inside the command, so that --help answers at once.
"""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aftercall.errors import AdapterError, ModelError
from training.context import TrainingContext, find_served, open_context, register, resolve
from training.judge.judgement import Judgement
from training.judge.store import Judgements
from worker.gpus import visible_gpus
from worker.loading.quiet import silence_bitsandbytes

if TYPE_CHECKING:
    from training.judge.evaluate import Evaluation

RUNS_DIR = Path("experiments/runs")


def recipe_options(command: Any) -> Any:
    """The options that change a recipe; each is named as the recipe's own field."""
    above_zero = click.FloatRange(min=0, min_open=True)
    for option in (
        click.option("--base", help="Another base model."),
        click.option("--profile", help="How the model will be asked: a profile's name or TOML file."),
        click.option("--references", type=click.Choice(["first", "all", "agreeing", "closest"])),
        click.option("--epochs", "num_epochs", type=above_zero),
        click.option("--max-steps", type=click.IntRange(min=0), help="End after so many steps; 0: the epochs decide."),
        click.option("--learning-rate", type=above_zero),
        click.option("--rank", "lora_r", type=click.IntRange(min=1), help="Rank of the LoRA matrices."),
        click.option("--batch-size", type=click.IntRange(min=1), help="Conversations a step."),
        click.option(
            "--patience",
            type=click.IntRange(min=0),
            help="Stop after so many epochs without a lower validation loss; 0: never.",
        ),
        click.option("--seed", type=click.IntRange(min=0, max=2**32 - 1)),
        click.option(
            "--gradient-checkpointing/--no-gradient-checkpointing",
            "is_gradient_checkpointing",
            default=None,
            help="Compute activations twice instead of keeping them: slower, in less memory.",
        ),
    ):
        command = option(command)
    return command


@click.command()
@click.option("--recipe", "name", default="smollm2-135m-tweetsumm", show_default=True, help="Recipe to train by.")
@click.option("--data", "sources", multiple=True, required=True, help="Labelled conversations; may be repeated.")
@click.option("--resume", "resumed", metavar="RUN", help="Go on from that run's last checkpoint.")
@click.option("--push-to-hub", "repository", metavar="REPOSITORY", help="Push the adapter and its card there.")
@click.option("--gpus", "num_gpus", type=click.IntRange(min=1), default=1, show_default=True, help="GPUs that train.")
@click.option("--compile", "is_compiling", is_flag=True, help="Compile the layers: a slow start, fast steps.")
@recipe_options
def train(
    name: str,
    sources: tuple[str, ...],
    resumed: str | None,
    repository: str | None,
    num_gpus: int,
    is_compiling: bool,
    **changes: Any,
) -> None:
    """Train an adapter, judge it, and enter it as a candidate.

    --data takes Salesforce/dialogstudio, a folder of train and validation files, a file of DialogStudio rows, or a CSV
    of conversation and summary. Options change single values of the recipe.
    """
    from training import show
    from training.data.splits import load_splits
    from training.fit.checkpoint import find_checkpoint
    from training.fit.recipe import get_recipe
    from training.registry import hub

    # All that can be wrong with the command is said first: torch takes its time to load.
    recipe = replace(get_recipe(name), **{field: value for field, value in changes.items() if value is not None})
    folder = RUNS_DIR / (resumed or f"{recipe.name}-{datetime.now(UTC):%Y%m%d-%H%M%S}")
    if resumed:
        find_checkpoint(folder)
    _check_gpus(num_gpus)
    splits = load_splits(sources)
    show.splits(splits)

    silence_bitsandbytes()
    from training.fit.speed import Speed
    from training.fit.train import Outputs
    from training.refresh import Plan, refresh

    with open_context() as context:
        plan = Plan(
            recipe=recipe,
            sources=sources,
            splits=splits,
            outputs=Outputs(folder=folder, is_logged=True, is_resuming=resumed is not None),
            adapters_dir=context.settings.adapters_dir,
            settings=context.settings,
            served=find_served(context, recipe.base).folder,
            speed=Speed(num_processes=num_gpus, is_compiling=is_compiling),
        )
        entry = register(context, refresh(plan))
    show.registered(entry)
    if repository:
        hub.push(entry.path, repository)


def _check_gpus(num_gpus: int) -> None:
    num_visible = len(visible_gpus()) if num_gpus > 1 else 1
    if num_visible < num_gpus:
        seen = {0: "none is", 1: "one is"}.get(num_visible, f"{num_visible} are")
        raise ModelError(
            f"--gpus {num_gpus} asks for {num_gpus} GPUs, but {seen} visible: look at `nvidia-smi` and "
            "CUDA_VISIBLE_DEVICES."
        )


@click.command()
@click.argument("adapter", default="active")
@click.option("--data", "sources", multiple=True, required=True, help="Labelled conversations; may be repeated.")
@click.option("--split", type=click.Choice(["validation", "test"]), default="validation", show_default=True)
@click.option("--with-base", is_flag=True, help="Also the base model without adapter.")
def evaluate(adapter: str, sources: tuple[str, ...], split: str, with_base: bool) -> None:
    """Judge what is served with ADAPTER: a digest, a folder, `active`, or `none` for the base model alone.

    The worker's own model, prompt, engine and decoding write the summaries. The judgement on the validation split is
    kept under the data folder, where the gate finds it. Baselines are judged along; an active adapter that was judged
    on the same conversations is shown beside it.
    """
    silence_bitsandbytes()
    from training import show
    from training.data.splits import check_unseen
    from training.judge.baselines import judge_baselines
    from training.judge.served import judge_base_alike, judge_served, load_split

    examples = load_split(sources, split)
    with open_context() as context:
        folder = resolve(context, adapter)
        if folder:
            check_unseen(folder, examples)
        evaluation = judge_served(context.settings, folder, examples)
        base = judge_base_alike(context.settings, evaluation, examples) if with_base and folder else None
        judged = _name_judged(context, folder, evaluation.judgement, base)
        show.evaluation(evaluation, judged | {each.name: each for each in judge_baselines(examples)})
    # The gate reads the judgement on the validation split.
    if folder and split == "validation":
        _keep(context.judgements, folder, evaluation, base)


def _name_judged(
    context: TrainingContext, adapter: Path | None, ours: Judgement, base: Judgement | None
) -> dict[str, Judgement]:
    """The columns of a table: ours, what is active now if it was judged on the same conversations, the base model."""
    judged = {"this adapter" if adapter else "base model alone": ours}
    active = find_served(context, context.settings.base_model).folder
    if active and active.resolve() != adapter and (kept := context.judgements.find_comparable(active, ours)):
        judged["active now"] = kept
    if base:
        judged["base model alone"] = base
    return judged


def _keep(judgements: Judgements, adapter: Path, evaluation: "Evaluation", base: Judgement | None) -> None:
    """Last of all: what took minutes has been shown by then, should the disk take nothing."""
    try:
        judgements.keep(adapter, evaluation.judgement, evaluation.figures())
        if base:
            judgements.keep_base(adapter, base)
    except AdapterError as error:
        raise AdapterError(f"shown, not kept: {error}") from error
