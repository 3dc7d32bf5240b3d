"""The commands erase and audit."""

import json
import time
from collections.abc import Mapping
from pathlib import Path

import click

from aftercall.errors import NotFoundError
from aftercall.files import write_whole
from aftercall.ledger import account
from aftercall.ledger import audit as ledger_audit
from aftercall.terminal import say
from producer.options import OUT
from producer.output import STDOUT
from producer.services import confirm, open_services


@click.command()
@click.option("--id", "external_id", required=True, help="The conversation's id in its source.")
@click.option("--submission", type=int, help="Only in this submission; otherwise in all.")
@click.option(
    "--file",
    "files",
    multiple=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also from this CSV or JSON file: results, a review, a training file. May be repeated.",
)
@click.option("--out", type=OUT, default=STDOUT, help="Write the receipt here; otherwise to stdout.")
@click.option("--yes", "is_agreed", is_flag=True, help="Do not ask.")
def erase(external_id: str, submission: int | None, files: tuple[Path, ...], out: Path, is_agreed: bool) -> None:
    """Delete one conversation for good: ledger, summaries, queue, append-only file, spool, files under the data folder.

    Writes a receipt: what was where, by digest, and which adapters were trained on it.
    """
    from producer.erasing import erase as erasing

    if missing := [str(path) for path in files if not path.is_file()]:
        raise click.UsageError(f"nothing is erased: there is no file {', '.join(missing)}.")
    with open_services(may_create=False) as services:
        if submission is not None:
            account.submission(services.database, submission)
        target = erasing.find(services.database, external_id, submission)
        if submission is not None and not target.places:
            raise NotFoundError(f"submission {submission} holds no conversation with this id. Check the id.")
        numbers = ", ".join(map(str, target.submission_ids)) or "none: only files are searched"
        say(f"to erase: one id, in submissions {numbers}", to_stderr=True)
        if not is_agreed and not confirm("erase it for good?", "nothing is erased"):
            return
        receipt = json.dumps(erasing.erase(services.settings, services.database, target, files), indent=1)
    if out == STDOUT:
        click.echo(receipt)
    else:
        write_whole(out, receipt.encode() + b"\n")
        say(f"erased; the receipt is in {out}")


@click.command()
@click.option("--rows", "max_rows", type=click.IntRange(min=1), default=50, show_default=True, help="The newest ones.")
def audit(max_rows: int) -> None:
    """Show who submitted, exported, erased, purged, promoted and paused what, and when; the newest first."""
    with open_services(may_create=False) as services:
        found = ledger_audit.entries(services.database, max_rows)
    for row in found:
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(row.at))
        what = f" submission {row.entry.submission_id}" if row.entry.submission_id is not None else ""
        say(f"{at}  {row.user}  {row.entry.action}{what}  {_details(row.entry.details)}".rstrip())
    if not found:
        say("nothing was recorded yet")


def _details(details: Mapping[str, int | str]) -> str:
    return ", ".join(
        f"{name} {value:,}" if isinstance(value, int) else f"{name} {value}" for name, value in details.items()
    )
