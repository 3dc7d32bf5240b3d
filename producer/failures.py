"""`aftercall failures`: why conversations failed, by code, or each with its reason, on the terminal or in a file."""

from collections.abc import Iterator
from dataclasses import asdict, fields
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.table import Table
from rich.text import Text
from sqlalchemy import Engine

from aftercall.ledger import failures
from aftercall.ledger.failures import Failure, FailureCount
from aftercall.settings import load_settings
from producer import as_json
from producer.advice import RUN, is_one_machine
from producer.export import write_csv
from producer.output import write_out
from producer.show import console


def show_counts(database: Engine, submission_id: int | None) -> None:
    """A line a code, with an example, and what can be done."""
    counts = failures.counts(database, submission_id)
    if not counts:
        console.print("nothing failed")
        return
    console.print(_table(counts))
    which = f" {submission_id}" if submission_id is not None else ""
    console.print(f"\neach of them:  aftercall failures{which} --ids", soft_wrap=True)
    then = f", then {RUN} does them" if is_one_machine(load_settings()) else ""
    again = f"aftercall requeue{which} --failed [--code CODE]{then}"
    console.print(f"try them again: {again}", soft_wrap=True, markup=False)


def _table(counts: list[FailureCount]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("failed", justify="right", no_wrap=True)
    table.add_column("code", no_wrap=True)
    table.add_column("for example", overflow="fold")
    for each in counts:
        table.add_row(f"{each.num_conversations:,}", each.code, Text(_printable(each.example)))
    return table


def list_each(database: Engine, submission_id: int | None, code: str | None) -> None:
    """A line a conversation, its parts apart by tabs: submission, id, code, reason."""
    each = None
    for each in failures.each(database, submission_id, code):
        parts = (str(each.submission_id), each.external_id, each.code, each.reason)
        click.echo("\t".join(map(_printable, parts)))
    if each is None:
        click.echo(f"nothing failed with {code}" if code else "nothing failed", err=True)


def write_json(database: Engine, submission_id: int | None, code: str | None, *, with_ids: bool) -> None:
    """The counts by code as JSON; with ids, every failed conversation too."""
    counted = [each for each in failures.counts(database, submission_id) if code in (None, each.code)]
    content: as_json.Json = {
        "submission": submission_id,
        "total": sum(each.num_conversations for each in counted),
        "by_code": as_json.failure_counts(counted),
    }
    if with_ids:
        content["conversations"] = [as_json.failure(each) for each in failures.each(database, submission_id, code)]
    as_json.write("failures", content)


def write(database: Engine, submission_id: int | None, code: str | None, out: Path) -> int:
    """All failed conversations as a CSV file. Returns how many."""
    columns = [field.name for field in fields(Failure)]
    rows = _rows(database, submission_id, code)
    return write_out(out, columns, lambda file: write_csv(file, columns, rows))


def _rows(database: Engine, submission_id: int | None, code: str | None) -> Iterator[dict[str, Any]]:
    for each in failures.each(database, submission_id, code):
        yield asdict(each) | {"failed_at": datetime.fromtimestamp(each.failed_at).isoformat(" ", "seconds")}


def _printable(words: str) -> str:
    """Ids and reasons come from a source; what they hold must not steer the terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in words)
