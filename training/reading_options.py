"""The options that say how labelled data is read, for every command with --data."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from producer.source import SourceOptions
from producer.source_options import source_options
from training.data.labelled import Reading


def reading_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of `aftercall submit`, and the summary's; the command gets them as one `reading`."""

    @wraps(command)
    def wrapped(*args: Any, options: SourceOptions, summary_column: str | None, **given: Any) -> Any:
        return command(*args, reading=Reading(options, summary_column), **given)

    column = click.option("--summary-column", metavar="NAME", help="Column, or key in JSON, of the summary.")
    return source_options(column(wrapped))
