"""`aftercall inspect`: what would be submitted of a source, as the model will see it. Changes nothing."""

from pathlib import Path

import click

from producer.source import SourceOptions
from producer.source_options import source_options


@click.command()
@click.argument("source")
@click.option("--limit", type=click.IntRange(min=0), help="Conversations shown; otherwise 3 as text, all as jsonl.")
@click.option("--format", "format_", type=click.Choice(["text", "jsonl"]), default="text", show_default=True)
@click.option(
    "--save-layout",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write how the source was laid out to this file, to go on from.",
)
@source_options
def inspect(source: str, limit: int | None, format_: str, save_layout: Path | None, options: SourceOptions) -> int:
    """Show what SOURCE would be submitted as: layout, speakers, what is dropped, the first conversations.

    As jsonl: one conversation a line to stdout, and the counts on the last line of stderr.
    """
    from producer import inspecting

    if format_ == "jsonl":
        return inspecting.write_jsonl(source, options, limit, save_layout)
    return inspecting.show_text(source, options, inspecting.NUM_SHOWN if limit is None else limit, save_layout)
