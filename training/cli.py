"""The commands `train` and `evaluate`.

Modules that import torch are imported inside the commands, so that --help answers at once.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aftercall.errors import AdapterError, ModelError
from producer import as_json
from producer.options import json_option
from training.context import TrainingContext, find_served, open_context, register, resolve
from training.judge.judgement import Judgement
from training.judge.store import Judgements
from training.reading_options import reading_options
from training.recipe_options import memory_option, recipe_option, recipe_options
from worker.gpus import visible_gpus
from worker.loading.quiet import silence_bitsandbytes

if TYPE_CHECKING:
    from training.data.labelled import Reading
    from training.judge.evaluate import Evaluation

RUNS_DIR = Path("experiments/runs")


@click.command()
@recipe_option
@click.option("--data", "sources", multiple=True, required=True, help="Labelled conversations; may be repeated.")
@reading_options
@click.option("--resume", "resumed", metavar="RUN", help="Continue that run from its last checkpoint.")
@click.option(
    "--push-to-hub",
    "repository",
    metavar="REPOSITORY",
    help="Push the adapter and its card to this repository on the hub.",
)
@click.option(
    "--gpus", "num_gpus", type=click.IntRange(min=1), default=1, show_default=True, help="Number of GPUs to train on."
)
@click.option("--compile", "is_compiling", is_flag=True, help="Compile the layers: slower to start, faster steps.")
@memory_option
@recipe_options
def train(
    name: str,
    sources: tuple[str, ...],
    reading: "Reading",
    resumed: str | None,
    repository: str | None,
    num_gpus: int,
    is_compiling: bool,
    max_bytes: int | None,
    **changes: Any,
) -> None:
    """Train an adapter, evaluate it, and register it as a candidate.

    --data takes Salesforce/dialogstudio, a folder of train and validation files, or a file that `aftercall submit`
    reads, with a summary per conversation. The recipe's values are options too.
    """
    from training import show
    from training.data.splits import load_splits, require_pairs
    from training.fit.checkpoint import find_checkpoint
    from training.fit.recipe import get_recipe, override
    from training.registry import hub

    # Check everything that can be wrong with the command first: importing torch takes seconds.
    recipe = override(get_recipe(name), changes)
    folder = RUNS_DIR / (resumed or f"{recipe.name}-{datetime.now(UTC):%Y%m%d-%H%M%S}")
    if resumed:
        find_checkpoint(folder)
    _check_gpus(num_gpus)
    splits = load_splits(sources, reading)
    if recipe.trains_on_pairs:
        require_pairs(splits, sources)
    show.splits(splits)
    show.rejected(reading)

    silence_bitsandbytes()
    from training.fit.arguments import Outputs
    from training.fit.speed import Speed
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
            speed=Speed(num_processes=num_gpus, is_compiling=is_compiling, max_bytes=max_bytes),
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
            f"--gpus {num_gpus} needs {num_gpus} GPUs, but {seen} visible: check `nvidia-smi` and CUDA_VISIBLE_DEVICES."
        )


@click.command()
@click.argument("adapter", default="active")
@click.option("--data", "sources", multiple=True, required=True, help="Labelled conversations; may be repeated.")
@reading_options
@click.option("--split", type=click.Choice(["validation", "test"]), default="validation", show_default=True)
@click.option("--with-base", is_flag=True, help="Also evaluate the base model without an adapter.")
@json_option
def evaluate(
    adapter: str, sources: tuple[str, ...], reading: "Reading", split: str, with_base: bool, is_json: bool
) -> None:
    """Evaluate ADAPTER as it would be served: a digest, a folder, `active`, or `none` for the base model alone.

    The summaries are written by the worker's own model, prompt, engine and decoding. The judgement on the validation
    split is stored under the data folder, where the gate reads it. The baselines are judged too. The active adapter is
    shown as well if it was judged on the same conversations.
    """
    silence_bitsandbytes()
    from training import evaluation_json, show
    from training.data.splits import check_unseen
    from training.judge.baselines import judge_baselines
    from training.judge.served import judge_base_alike, judge_served, load_split

    with as_json.keeping_stdout(is_json) as stdout, open_context() as context:
        examples = load_split(sources, split, reading)
        show.rejected(reading)
        folder = resolve(context, adapter)
        if folder:
            check_unseen(folder, examples)
        evaluation = judge_served(context.settings, folder, examples)
        base = judge_base_alike(context.settings, evaluation, examples) if with_base and folder else None
        judged = _name_judged(context, folder, evaluation.judgement, base)
        judged |= {each.name: each for each in judge_baselines(examples)}
        if is_json:
            as_json.write("evaluate", evaluation_json.evaluation(evaluation, judged, split), stdout)
        else:
            show.evaluation(evaluation, judged)
    # The gate compares judgements on the validation split only.
    if folder and split == "validation":
        _keep(context.judgements, folder, evaluation, base)


def _name_judged(
    context: TrainingContext, adapter: Path | None, ours: Judgement, base: Judgement | None
) -> dict[str, Judgement]:
    """The table's columns: ours, the active adapter if judged on the same conversations, and the base model."""
    judged = {"this adapter" if adapter else "base model alone": ours}
    active = find_served(context, context.settings.base_model).folder
    if active and active.resolve() != adapter and (kept := context.judgements.find_comparable(active, ours)):
        judged["active now"] = kept
    if base:
        judged["base model alone"] = base
    return judged


def _keep(judgements: Judgements, adapter: Path, evaluation: "Evaluation", base: Judgement | None) -> None:
    """Called last: if the disk is full, the figures that took minutes to compute have been shown by then."""
    try:
        judgements.keep(adapter, evaluation.judgement, evaluation.figures())
        if base:
            judgements.keep_base(adapter, base)
    except AdapterError as error:
        raise AdapterError(f"the judgement is shown above but was not stored: {error}") from error
