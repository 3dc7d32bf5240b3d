"""The options that say how labelled data is read, for every command with --data."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from aftercall.settings import load_settings
from producer.source import SourceOptions, parse_mapping
from training.data.labelled import Reading


def reading_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options; the command gets them as one `reading`."""

    @wraps(command)
    def wrapped(*args: Any, mapping: str | None, summary_column: str | None, **given: Any) -> Any:
        options = SourceOptions(mapping=parse_mapping(mapping or ""), redact=load_settings().redact)
        return command(*args, reading=Reading(options, summary_column), **given)

    column = click.option("--summary-column", metavar="NAME", help="Column, or key in JSON, of the summary.")
    columns = click.option("--map", "mapping", metavar="FIELD=COLUMN,…", help="As in `aftercall submit`.")
    return columns(column(wrapped))
