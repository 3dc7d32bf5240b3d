"""Wait until submissions have ended, no longer than a time or a deadline, and say how it goes.

Waiting changes nothing: the workers go on when it ends early.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import click
from rich.text import Text
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from aftercall.database import explain
from aftercall.errors import EXIT_SOME_FAILED, EXIT_TIME_UP
from producer.pauses import pause_after
from producer.show import console
from producer.standing import Standing, Standings, read_standings
from producer.status import sentence
from producer.when import next_deadline

#: Seconds between two looks at a small ledger.
MIN_PAUSE_S = 0.5

#: Seconds between two lines of progress where there is no terminal.
LINE_INTERVAL_S = 60.0

#: A database that is away for longer ends the waiting.
MAX_OUTAGE_S = 300.0

Show = Callable[[Standings], None]


@dataclass(frozen=True, slots=True)
class Limits:
    """How long to wait: until the first of both."""

    timeout_s: float | None = None
    #: Seconds since the epoch.
    deadline_at: float | None = None


@dataclass(frozen=True, slots=True)
class Waited:
    """How the waiting ended."""

    standings: Standings
    is_time_up: bool

    @property
    def exit_code(self) -> int:
        """What a script needs to know."""
        if self.is_time_up:
            return EXIT_TIME_UP
        return EXIT_SOME_FAILED if self.standings.total.failed else 0


def make_limits(timeout_s: float | None, deadline: str | None) -> Limits:
    """The limits that begin now; a time of the day is the next one."""
    return Limits(timeout_s, next_deadline(deadline, time.time()) if deadline else None)


def wait(database: Engine, submission_ids: Sequence[int] | None, limits: Limits) -> Waited:
    """Wait until these submissions, or all, have ended, or until time is up.

    Raises NotFoundError if one is missing, DatabaseError if the database is away for minutes.
    """
    began = time.monotonic()
    with _showing() as show:
        while True:
            looked = time.monotonic()
            standings = _read(database, submission_ids, limits)
            show(standings)
            is_open = not all(each.has_ended for each in standings.submissions)
            is_time_up = is_open and _is_time_up(limits, standings.pace.at, time.monotonic() - began)
            if is_time_up or not is_open:
                return Waited(standings, is_time_up)
            pause_s = pause_after(time.monotonic() - looked, MIN_PAUSE_S)
            time.sleep(_pause_s(limits, standings.pace.at, time.monotonic() - began, pause_s))


def tell(waited: Waited) -> None:
    """Say how each submission ended or stands."""
    for each in waited.standings.submissions:
        click.echo(f"submission {each.record.id} ({each.record.name}): {_counted(each)}; {each.estimate.sentence}")
    if waited.is_time_up:
        click.echo("time is up. The workers go on; wait again, or see `aftercall status`.")


def _read(database: Engine, submission_ids: Sequence[int] | None, limits: Limits) -> Standings:
    """Where they stand. A database that is away for a while is waited for."""
    gives_up = time.monotonic() + MAX_OUTAGE_S
    is_told = False
    while True:
        try:
            return read_standings(database, submission_ids, deadline_at=limits.deadline_at)
        except DBAPIError as error:
            if time.monotonic() > gives_up:
                raise explain(database, error) from None
            if not is_told:
                click.echo(f"waiting for the database: {explain(database, error)}")
            is_told = True
            time.sleep(MIN_PAUSE_S)


def _is_time_up(limits: Limits, at: float, waited_s: float) -> bool:
    has_passed = limits.deadline_at is not None and at >= limits.deadline_at
    return has_passed or (limits.timeout_s is not None and waited_s >= limits.timeout_s)


def _pause_s(limits: Limits, at: float, waited_s: float, pause_s: float) -> float:
    """How long to pause: not past the end of the waiting."""
    left = [
        *([] if limits.timeout_s is None else [limits.timeout_s - waited_s]),
        *([] if limits.deadline_at is None else [limits.deadline_at - at]),
    ]
    return max(0.0, min(pause_s, *left)) if left else pause_s


@contextmanager
def _showing() -> Iterator[Show]:
    """A line that changes on a terminal; elsewhere a line a minute."""
    if console.is_terminal:
        with console.status(Text("waiting")) as line:
            yield lambda standings: line.update(Text("; ".join(_lines(standings))))
        return
    last_at = float("-inf")

    def show(standings: Standings) -> None:
        nonlocal last_at
        if time.monotonic() - last_at >= LINE_INTERVAL_S:
            last_at = time.monotonic()
            for line in _lines(standings):
                click.echo(line)

    yield show


def _lines(standings: Standings) -> list[str]:
    """A line for each submission that is waited for."""
    return [
        f"{each.account.finished:,} of {each.account.submitted:,} finished in {sentence(each)}{_unread(each)}"
        for each in standings.submissions
        if not each.has_ended
    ]


def _unread(each: Standing) -> str:
    is_unread = not each.record.is_read and not each.account.open
    return " (the source is not read to its end: is its `aftercall submit` still running?)" if is_unread else ""


def _counted(each: Standing) -> str:
    parts = {
        "done": each.account.done,
        "failed": each.account.failed,
        "cancelled": each.account.cancelled,
        "insufficient": each.account.insufficient,
        "open": each.account.open,
    }
    return ", ".join(f"{count:,} {what}" for what, count in parts.items() if count) or "no conversations"
