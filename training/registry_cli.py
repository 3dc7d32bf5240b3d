"""The commands around adapters and reviews, none of which needs a model. Thin: each calls its module."""

from pathlib import Path

import click

from aftercall.database import reading
from training import history, registry, show
from training.card import CARD_FILE
from training.home import base_name, open_home, resolve, served_folder
from training.judgement import load_judgement
from training.promotion import promote as promote_through_gate
from training.review import export_review, import_review


@click.group()
def adapters() -> None:
    """Look after adapters: list, register, show, promote, roll back, compare, and see what was served when."""


@adapters.command("list")
def list_() -> None:
    """All registered adapters, the newest first."""
    with open_home() as home:
        show.entries(registry.entries(home.database))


@adapters.command()
@click.argument("folder", type=click.Path(path_type=Path))
def register(folder: Path) -> None:
    """Enter the published adapter in FOLDER as a candidate; one that is known already stays as it is."""
    with open_home() as home:
        show.registered(registry.register(home.database, folder))


@adapters.command("show")
@click.argument("digest")
def show_(digest: str) -> None:
    """The card of an adapter."""
    with open_home() as home:
        folder = resolve(home, digest)
    if folder is None or not (folder / CARD_FILE).is_file():
        raise click.UsageError(f"{digest} has no card")
    click.echo((folder / CARD_FILE).read_text())


@adapters.command()
@click.argument("digest")
@click.option("--force", "is_forced", is_flag=True, help="Whatever the gate says. The history keeps that it was so.")
def promote(digest: str, is_forced: bool) -> None:
    """Make an adapter the one that workers serve, if it is no worse than the one they serve now."""
    with open_home() as home:
        entry = registry.find(home.database, digest)
        incumbent = served_folder(home, entry.base_model)
        promotion = promote_through_gate(home.database, entry.digest, incumbent, is_forced=is_forced)
        show.promotion(promotion)


@adapters.command()
@click.option("--base", help="Of which base model; otherwise the one in the settings.")
def rollback(base: str | None) -> None:
    """Bring back the adapter that was active before the one that is now."""
    with open_home() as home:
        left, back = registry.rollback(home.database, base_name(home, base or home.settings.base_model))
        click.echo(f"{left.digest} is retired; active: {back.digest if back else 'none, what ships is served'}")


@adapters.command("history")
def history_() -> None:
    """Every promotion and rollback, the newest first."""
    with open_home() as home, reading(home.database) as connection:
        show.history(history.read(connection))


@adapters.command()
@click.argument("ours")
@click.argument("theirs")
def diff(ours: str, theirs: str) -> None:
    """How two judged adapters differ: each figure with its paired 95% interval."""
    with open_home() as home:
        folders = [resolve(home, name) for name in (ours, theirs)]
    if None in folders:
        raise click.UsageError("give two adapters")
    show.difference(*(load_judgement(folder) for folder in folders if folder))


@click.group()
def review() -> None:
    """Let people correct summaries, and train on what they wrote."""


@review.command("export")
@click.argument("submission", type=int)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="CSV to write.")
@click.option("--rows", "max_rows", type=int, default=100, show_default=True, help="So many, drawn at random.")
def export_(submission: int, out: Path, max_rows: int) -> None:
    """Write summaries of SUBMISSION to a CSV; a reviewer fills in the column `corrected`."""
    with open_home() as home:
        num_rows = export_review(home.database, submission, out, max_rows)
    click.echo(f"{num_rows} summaries written to {out}; correct them in the column `corrected`")


@review.command("import")
@click.argument("reviewed", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Training file to add to.")
def import_(reviewed: Path, out: Path) -> None:
    """Add the corrected summaries of a reviewed CSV to a training file, for `aftercall train --data`."""
    with open_home() as home:
        report = import_review(home.database, reviewed, out)
    click.echo(
        f"{report.num_corrected} corrected, {report.num_unchanged} left as they were; "
        f"{out} has {report.num_rows} conversations now"
    )
