"""The command `refresh`: from reviewed summaries to a promoted adapter, made for a timer."""

from pathlib import Path
from typing import Any

import click

from producer.when import parse_duration
from training import show
from training.context import open_context
from training.data.labelled import Reading
from training.reading_options import reading_options
from training.recipe_options import memory_option, recipe_option, recipe_options
from training.report import write_report
from training.scheduled import Request, run_refresh


@click.command()
@click.option(
    "--from-review",
    "reviews",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Reviewed CSV of `aftercall review export`; may be repeated.",
)
@click.option("--data", "sources", multiple=True, help="Further labelled conversations; may be repeated.")
@reading_options
@recipe_option
@click.option("--allow-tie", "allows_tie", is_flag=True, help="Also promote an adapter that is not surely better.")
@click.option(
    "--wait",
    "wait_s",
    metavar="TIME",
    default="1h",
    show_default=True,
    callback=lambda context, option, value: parse_duration(value),
    help="Wait so long for a GPU that workers use, such as 90m.",
)
@memory_option
@recipe_options
def refresh(
    reviews: tuple[Path, ...],
    sources: tuple[str, ...],
    reading: Reading,
    name: str,
    allows_tie: bool,
    wait_s: float,
    max_bytes: int | None,
    **changes: Any,
) -> int:
    """Import corrections, train, judge on conversations that no adapter was trained on, and promote if better.

    Corrections add up in refresh/corrections.csv under the data folder, reports lie in refresh/reports. The same input
    again gives the same outcome without training; a killed refresh resumes. Exit code: 0 promoted, 20 kept what was
    served, 21 not enough data, 22 failed.
    """
    from training.fit.recipe import get_recipe, override

    if not reviews and not sources:
        raise click.UsageError("give --from-review, --data or both")
    recipe = override(get_recipe(name), changes)
    with open_context() as context:
        request = Request(
            reviews=reviews,
            sources=sources,
            recipe=recipe,
            reading=reading,
            allows_tie=allows_tie,
            max_bytes=max_bytes,
            wait_s=wait_s,
        )
        result = run_refresh(context, request)
        show.rejected(reading)
        report = write_report(context.settings.data_dir, result)
    again = " (nothing changed since the last refresh)" if result.is_repeated else ""
    click.echo(f"{result.outcome}{again}: {'; '.join(result.reasons)}")
    click.echo(f"report: {report}")
    return result.outcome.exit_code
