"""The command export. In a module of its own: with few imports, it needs little memory for however large an export."""

from pathlib import Path
from typing import get_args

import click

from aftercall import schema
from aftercall.ledger import account, audit
from aftercall.ledger.account import Account
from aftercall.settings import load_settings
from aftercall.terminal import say
from producer.export import Format
from producer.export import export as write_export
from producer.options import OUT, choose_one, latest_option
from producer.output import STDOUT
from producer.standing import check_ended


@click.command()
@click.argument("submission", type=int, required=False)
@latest_option
@click.option("--format", "format_", type=click.Choice(get_args(Format)), default="csv", show_default=True)
@click.option("--out", type=OUT, required=True, help="File to write; - for stdout.")
@click.option("--provenance", "with_provenance", is_flag=True, help="Also what made each summary: model, adapter, …")
@click.option("--require-done", is_flag=True, help="Write nothing while a conversation is open (exit code 16).")
def export(
    submission: int | None, is_latest: bool, format_: Format, out: Path, with_provenance: bool, require_done: bool
) -> None:
    """Write what became of each conversation of SUBMISSION, in the order of its source.

    The format openai is that of the output file of OpenAI's Batch API.
    """
    if with_provenance and format_ == "openai":
        raise click.UsageError("the format openai has no place for --provenance; jsonl has.")
    with schema.open_ledger(load_settings(), may_create=False) as database:
        number = choose_one(database, submission, is_latest)
        if require_done:
            check_ended(database, number)
        num_lines = write_export(database, number, out, format_, with_provenance=with_provenance)
        is_audited = audit.try_to_record(database, audit.Entry(audit.Action.EXPORT, number, {"rows": num_lines}))
        standing = account.account(database, number)
    _tell(num_lines, standing, out)
    if not is_audited:
        click.echo("not in the audit: the ledger can't be written to", err=True)


def _tell(num_lines: int, standing: Account, out: Path) -> None:
    """Where an export is, and what in it is still to come; where it went to stdout, that alone, on stderr."""
    is_stdout = out == STDOUT
    written = "" if is_stdout else f"{num_lines:,} conversations written to {out}"
    parts = {
        "done": standing.done,
        "failed": standing.failed,
        "cancelled": standing.cancelled,
        "insufficient": standing.insufficient,
        "running": standing.running,
        "waiting": standing.waiting,
    }
    counted = ", ".join(f"{count:,} {what}" for what, count in parts.items() if count)
    unfinished = f"{counted}; export again when they are done" if standing.open else ""
    if said := ": ".join(filter(None, (written, unfinished))):
        say(said, to_stderr=is_stdout)
