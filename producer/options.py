"""Options that several commands share."""

from collections.abc import Sequence
from pathlib import Path

import click
from sqlalchemy import Engine

from aftercall.models import Priority
from producer.standing import latest
from producer.when import check_deadline, parse_duration

#: The type of an option that names a file to write.
OUT = click.Path(dir_okay=False, path_type=Path)


def _deadline(context: click.Context, parameter: click.Parameter, words: str | None) -> str | None:
    return None if words is None else check_deadline(words)


def _duration(context: click.Context, parameter: click.Parameter, words: str | None) -> float | None:
    return None if words is None else parse_duration(words)


def _priority(context: click.Context, parameter: click.Parameter, word: str | None) -> Priority | None:
    return None if word is None else Priority[word.upper()]


priority_option = click.option(
    "--priority",
    type=click.Choice([each.name.lower() for each in Priority]),
    callback=_priority,
    help="What is more urgent is summarized first. A new source is normal. Changes that of one submitted before.",
)
json_option = click.option("--json", "is_json", is_flag=True, help="Print one JSON object; docs/json.md describes it.")
latest_option = click.option("--latest", "is_latest", is_flag=True, help="The submission that was made last.")
deadline_option = click.option(
    "--deadline", metavar="TIME", callback=_deadline, help="When it is due: 05:30, or a date and time. [setting]"
)
timeout_option = click.option(
    "--timeout", "timeout_s", metavar="DURATION", callback=_duration, help="Wait no longer than 90s, 30m or 2h."
)


def choose(database: Engine, submission: int | None, is_latest: bool) -> list[int] | None:
    """The submission that is meant; None: all of them.

    Raises NotFoundError if the latest is meant and there is none.
    """
    return choose_several(database, () if submission is None else (submission,), is_latest)


def choose_several(database: Engine, submissions: Sequence[int], is_latest: bool) -> list[int] | None:
    """The submissions that are meant; None: all of them.

    Raises click.UsageError if both numbers and the latest are asked for, NotFoundError as `choose` does.
    """
    if submissions and is_latest:
        raise click.UsageError("give numbers of submissions or --latest, not both.")
    if is_latest:
        return [latest(database)]
    return list(submissions) or None


def choose_one(database: Engine, submission: int | None, is_latest: bool) -> int:
    """The one submission that is meant, by its number or as the latest.

    Raises click.UsageError if none is, NotFoundError as `choose` does.
    """
    chosen = choose(database, submission, is_latest)
    if chosen is None:
        raise click.UsageError("say which submission: its number (`aftercall status` lists them), or --latest.")
    return chosen[0]
