"""The command groups `adapters` and `review`, which run without loading a model."""

from pathlib import Path

import click

from aftercall.command_groups import SuggestingGroup
from aftercall.database import reading
from aftercall.profile import TWEETSUMM
from producer import as_json
from producer.options import json_option
from producer.output import STDOUT
from producer.when import to_utc
from training import show
from training.context import base_name, open_context, resolve
from training.data.review import Draw, export_review
from training.data.review_import import import_review
from training.data.reviews import read_log
from training.import_adapter import import_adapter
from training.registry import history, registry, shipped
from training.registry.card import CARD_FILE
from training.registry.exporting import export_adapter
from training.registry.promotion import promote as promote_through_gate
from worker.serving.desired import find_desired


@click.group(cls=SuggestingGroup)
def adapters() -> None:
    """Manage adapters: list, register, show, promote, roll back, compare, and show the history."""


@adapters.command("list")
@json_option
def list_(is_json: bool) -> None:
    """List the registered adapters, newest first, and the shipped ones."""
    with open_context(may_create=False) as context:
        entries = shipped.known(context.database)
    if is_json:
        as_json.write("adapters", {"adapters": [_to_json(entry) for entry in entries]})
    else:
        show.entries(entries)


def _to_json(entry: registry.Entry) -> as_json.Json:
    return {
        "digest": entry.digest,
        "base_model": entry.base_model,
        "state": entry.state,
        "path": str(entry.path),
        "created_at": to_utc(entry.created_at or None),
        "promoted_at": to_utc(entry.promoted_at),
    }


@adapters.command(short_help="Register a published adapter as a candidate.")
@click.argument("folder", type=click.Path(path_type=Path))
def register(folder: Path) -> None:
    """Register the published adapter in FOLDER as a candidate; an adapter that is already registered is unchanged.

    If the folder it was registered with no longer exists, FOLDER replaces it.
    """
    with open_context() as context:
        show.registered(registry.register(context.database, folder))


@adapters.command("show")
@click.argument("digest")
def show_(digest: str) -> None:
    """Print an adapter's card."""
    with open_context(may_create=False) as context:
        folder = resolve(context, digest)
    if folder is None or not (folder / CARD_FILE).is_file():
        raise click.UsageError(f"{digest} has no card")
    click.echo((folder / CARD_FILE).read_text())


@adapters.command(short_help="Serve an adapter, if it is better than the one served now.")
@click.argument("digest")
@click.option("--force", "is_forced", is_flag=True, help="Promote without the gate. The history records it.")
@click.option("--allow-tie", "allows_tie", is_flag=True, help="Also promote an adapter that is not surely better.")
def promote(digest: str, is_forced: bool, allows_tie: bool) -> None:
    """Make workers serve an adapter, if the gate finds it better than the one they serve now."""
    with open_context() as context:
        entry = shipped.find(context.database, digest)
        incumbent = find_desired(context.database, entry.base_model)
        promotion = promote_through_gate(
            context.database,
            entry.digest,
            incumbent,
            context.judgements,
            is_forced=is_forced,
            allows_tie=allows_tie,
        )
        show.promotion(promotion)


@adapters.command(short_help="Serve the previously active adapter again.")
@click.option("--base", help="The base model whose adapter is rolled back; by default the one in the settings.")
def rollback(base: str | None) -> None:
    """Serve the adapter again that was active before the current one."""
    with open_context() as context:
        left, back = registry.rollback(context.database, base_name(context, base or context.settings.base_model))
        click.echo(
            f"{left.digest} is retired; active: {back.digest if back else 'none, the shipped adapter is served'}"
        )


@adapters.command("history")
def history_() -> None:
    """List every promotion and rollback, newest first."""
    with open_context(may_create=False) as context:
        with reading(context.database) as connection:
            changes = history.read(connection)
        if changes:
            show.history(changes)
        else:
            base_model = base_name(context, context.settings.base_model)
            show.unchanged(find_desired(context.database, base_model), base_model)


@adapters.command(short_help="Compare the figures of two judged adapters.")
@click.argument("ours")
@click.argument("theirs")
def diff(ours: str, theirs: str) -> None:
    """Compare two judged adapters: the difference in each figure with its paired 95% interval."""
    with open_context(may_create=False) as context:
        folders = [resolve(context, name) for name in (ours, theirs)]
        if None in folders:
            raise click.UsageError("`none` has no judgement to compare; give two adapters")
        show.difference(*(context.judgements.find(folder) for folder in folders if folder))


@adapters.command("import", short_help="Register a peft LoRA adapter that was trained elsewhere.")
@click.argument("source", metavar="FOLDER|HUB_ID")
@click.option("--base", required=True, help="The base model it was trained on, as AFTERCALL_BASE_MODEL names it.")
@click.option(
    "--prompt-version",
    default=TWEETSUMM.id,
    show_default=True,
    help="The id of the profile it was trained for; 1 is tweetsumm-1.",
)
@click.option(
    "--quantization",
    type=click.Choice(["nf4", "int8", "none"]),
    default="none",
    show_default=True,
    help="How the base model's weights were stored in its training.",
)
def import_outside(source: str, base: str, prompt_version: str, quantization: str) -> None:
    """Check a plain LoRA adapter against its base model, and register it as a candidate.

    Names of layers from Phi's original code (Wqkv, out_proj) are converted without loss. The adapter has to be trained
    with this prompt, followed by the summary:

    \b
    ### Instruction: Below is a conversation between a human and an AI agent. Write a summary of the conversation.
    \b
    ### Input:
    user: ...
    agent: ...
    \b
    ### Response:

    `aftercall evaluate DIGEST --with-base` then judges it, as the gate requires.
    """
    with open_context() as context:
        entry, names = import_adapter(context, source, base, prompt_version, quantization)
    show.imported(entry, names)


@adapters.command("export", short_help="Write an adapter as a folder for peft, vLLM or the hub.")
@click.argument("digest")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="New folder to write.")
def export_outside(digest: str, out: Path) -> None:
    """Write an adapter with a model card, without its judgements, as plain peft, vLLM and the hub take it."""
    with open_context(may_create=False) as context:
        folder = resolve(context, digest)
    if folder is None:
        raise click.UsageError("`none` is no adapter; give a digest, a folder or `active`")
    click.echo(f"{folder.name} written to {export_adapter(folder, out)}")


@click.group(cls=SuggestingGroup)
def review() -> None:
    """Have people correct summaries, and train on their corrections."""


@review.command("export", short_help="Write summaries to a CSV for people to correct.")
@click.argument("submission", type=int)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="CSV to write.")
@click.option(
    "--rows",
    "max_rows",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="Number of summaries.",
)
@click.option(
    "--control",
    "num_control",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    help="So many of them at random; the others are those with the highest risk.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Another random draw.")
def export_(submission: int, out: Path, max_rows: int, num_control: int, seed: int) -> None:
    """Write summaries of SUBMISSION to a CSV: the riskiest by their own verdicts, and a random control.

    A reviewer fills in the column `corrected`, and `reason` and `reviewer` if they are of use. The column `drawn` says
    which rows are the control.
    """
    with open_context(may_create=False) as context:
        num_rows = export_review(context.database, submission, out, Draw(max_rows, num_control, seed))
    click.echo(f"{num_rows} summaries written to {out}; correct them in the column `corrected`", err=out == STDOUT)


@review.command("stats", short_help="Show acceptance, edits and agreement of reviews.")
@click.argument("logs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE.reviews.csv...")
def stats(logs: tuple[Path, ...]) -> None:
    """Show acceptance rate, edit distance and agreement by adapter, channel, flag, reason and month.

    `aftercall review import --out NAME.csv` keeps the log NAME.reviews.csv. The control's rate holds for all summaries;
    that of the riskiest does not.
    """
    show.reviews([review for path in logs for review in read_log(path)])


@review.command("import", short_help="Add corrected summaries to a training file.")
@click.argument("reviewed", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Training file to add to.")
def import_(reviewed: Path, out: Path) -> None:
    """Add the corrections of a reviewed CSV to a training file, for `aftercall train --data`.

    Each row is checked against what was exported. Corrections of two reviewers for one conversation are both kept: a
    column `reviewer`, or else the file's name, tells them apart.
    """
    with open_context() as context:
        report = import_review(context.database, reviewed, out)
    for sentence in report.unusable:
        click.echo(sentence, err=True)
    if report.unusable:
        click.echo(f"{len(report.unusable)} left out: their corrections are not usable summaries", err=True)
    if report.num_gone:
        click.echo(f"{report.num_gone} left out: their conversations are no longer in this database", err=True)
    became = f"now has {report.num_rows} rows" if report.num_corrected else "is unchanged"
    click.echo(f"{report.num_corrected} corrected, {report.num_unchanged} left as they were; {out} {became}")
