"""The options that say how a source is to be read, shared by submit, run and inspect."""

from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from typing import Any, TypeVar

import click

from aftercall.settings import load_settings
from producer.readers.containers.limits import Limits
from producer.source import FIELDS, SourceOptions, parse_mapping

Command = TypeVar("Command", bound=Callable[..., Any])

_MAP_HELP = (
    f"Which column, or which path in JSON, holds what, for unknown exports. A FIELD is one of {', '.join(FIELDS)}."
)
_OPTIONS = (
    click.option("--layout", metavar="NAME|FILE", help="How the source is laid out; otherwise found out."),
    click.option("--map", "mapping", metavar="FIELD=PATH,…", help=_MAP_HELP),
    click.option("--agents", metavar="PATTERN,…", help="Who speaks for the company, by name or id; * is any part."),
    click.option("--customers", metavar="PATTERN,…", help="Who is the customer, in the same way."),
    click.option("--keep-notes", is_flag=True, help="Read internal notes too, as the company's words."),
    click.option("--strict", "is_strict", is_flag=True, help="Refuse a source that would be read with a warning."),
    click.option("--encoding", help="Text encoding; otherwise found out from the bytes."),
    click.option("--delimiter", help="Cell delimiter; otherwise found out from the header."),
)
_NAMES = ("layout", "mapping", "agents", "customers", "keep_notes", "is_strict", "encoding", "delimiter")


def source_options(command: Command) -> Command:
    """Add the options; the command gets what they say as `options`."""

    @wraps(command)
    def wrapped(*args: Any, **given: Any) -> Any:
        told = {name: given.pop(name) for name in _NAMES}
        return command(*args, options=read_options(told), **given)

    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[return-value]


def read_options(told: dict[str, Any]) -> SourceOptions:
    """The options as the source takes them, from what was typed."""
    settings = load_settings()
    limits = Limits(**{each.name: getattr(settings, each.name) for each in fields(Limits)})
    mapping = parse_mapping(told.pop("mapping") or "")
    return SourceOptions(
        mapping=mapping,
        max_conversation_chars=settings.max_conversation_chars,
        limits=limits,
        redact=settings.redact,
        **told,
    )


def to_arguments(options: SourceOptions) -> list[str]:
    """The options as somebody types them."""
    told = {
        "--layout": options.layout,
        "--map": ",".join(f"{field}={column}" for field, column in options.mapping.items()),
        "--agents": options.agents,
        "--customers": options.customers,
        "--encoding": options.encoding,
        "--delimiter": "tab" if options.delimiter == "\t" else options.delimiter,
    }
    flags = {"--keep-notes": options.keep_notes, "--strict": options.is_strict}
    values = [word for name, value in told.items() if value for word in (name, value)]
    return [*values, *(name for name, is_set in flags.items() if is_set)]
