"""`aftercall purge`: show what would be deleted from the ledger, then delete it in short transactions.

The statements are in `aftercall.ledger.retention`.
"""

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import click
from sqlalchemy import Engine

from aftercall.errors import NotFoundError
from aftercall.ledger import account, audit, retention
from aftercall.ledger.account import SubmissionRecord
from aftercall.ledger.retention import Deleted, Holdings, SubmissionOpenError
from aftercall.masking import printable
from aftercall.schema import is_ledger_missing
from aftercall.settings import Settings
from producer.show import console

#: Seconds by letter.
UNITS = {"h": 3_600, "d": 86_400, "w": 604_800}


def parse_age(words: str) -> float:
    """The seconds of `12h`, `30d` or `4w`."""
    match = re.fullmatch(r"([0-9]{1,6})([hdw])", words)
    if match is None:
        raise click.BadParameter(f"{words!r} is not an age. Write hours, days or weeks, such as 12h, 30d or 4w.")
    return float(int(match[1]) * UNITS[match[2]])


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be deleted, and what is left alone."""

    submissions: tuple[SubmissionRecord, ...]
    #: Old enough, but with conversations that wait or run.
    left_alone: tuple[SubmissionRecord, ...]
    holdings: Holdings

    @property
    def ids(self) -> list[int]:
        """The numbers of the submissions to delete."""
        return [record.id for record in self.submissions]


def refuse_missing(settings: Settings) -> None:
    """Raise NotFoundError if there is no ledger: a cron job in another folder would never delete anything."""
    if is_ledger_missing(settings):
        raise NotFoundError(
            f"there is no ledger at {settings.ledger_url}, so nothing is deleted. Run purge in the folder of the other "
            "commands, or set AFTERCALL_DATA_DIR to an absolute path."
        )


def plan_older(database: Engine, age_s: float) -> Plan:
    """The submissions that are older than this. Those with open conversations are left alone."""
    is_old = set(retention.submitted_before(database, age_s))
    return _plan(database, [record for record in account.submissions(database) if record.id in is_old])


def plan_named(database: Engine, submission_ids: Sequence[int]) -> Plan:
    """These submissions.

    Raises NotFoundError if one does not exist, and SubmissionOpenError if one has conversations that wait or run.
    """
    plan = _plan(database, [account.submission(database, each) for each in sorted(set(submission_ids))])
    if plan.left_alone:
        raise SubmissionOpenError([record.id for record in plan.left_alone])
    return plan


def _plan(database: Engine, records: Sequence[SubmissionRecord]) -> Plan:
    is_open = retention.open_among(database, [record.id for record in records])
    doomed = tuple(record for record in records if record.id not in is_open)
    left_alone = tuple(record for record in records if record.id in is_open)
    return Plan(doomed, left_alone, retention.weigh(database, [record.id for record in doomed]))


def show_plan(plan: Plan) -> None:
    """Show what would be deleted, what stays, and what to do about open submissions."""
    if plan.left_alone:
        click.echo(SubmissionOpenError([record.id for record in plan.left_alone]))
    if not plan.submissions:
        click.echo("nothing to delete")
        return
    for record in plan.submissions:
        submitted_at = time.strftime("%Y-%m-%d %H:%M", time.localtime(record.created_at))
        click.echo(f"to delete: submission {record.id} ({printable(record.name)}), submitted {submitted_at}")
    held = plan.holdings
    click.echo(f"in total: {_counted(len(plan.submissions), held.num_conversations, held.num_summaries)}")
    if held.num_shared:
        click.echo(f"{held.num_shared:,} conversations stay, because another submission also holds them")


def delete(database: Engine, plan: Plan) -> bool:
    """Delete what is planned, and show how much that was; returns whether all of it could be deleted.

    If it is killed, the same command deletes the rest.
    """
    num_conversations = num_summaries = 0
    with console.status("deleting") as line:
        for submission_id in plan.ids:
            for deleted in _empty(database, submission_id):
                num_conversations += deleted.num_conversations
                num_summaries += deleted.num_summaries
                line.update(f"deleting submission {submission_id}: {num_conversations:,} conversations so far")
        # The submissions' own rows last and together. Until then the same command finds them.
        num_submissions = retention.drop_empty(database, plan.ids)
    only = plan.ids[0] if len(plan.ids) == 1 else None
    counts = {"submissions": num_submissions, "conversations": num_conversations, "summaries": num_summaries}
    audit.record(database, audit.Entry(audit.Action.PURGE, only, counts))
    click.echo(f"deleted: {_counted(num_submissions, num_conversations, num_summaries)}")
    return num_submissions == len(plan.ids)


def _empty(database: Engine, submission_id: int) -> Iterator[Deleted]:
    """Delete a submission's conversations; yields each transaction's counts. Stops if one was queued again."""
    try:
        while (deleted := retention.empty(database, submission_id)).num_places:
            yield deleted
    except SubmissionOpenError as error:
        click.echo(f"the rest of {error}")


def _counted(num_submissions: int, num_conversations: int, num_summaries: int) -> str:
    counts = {
        ("submission", "submissions"): num_submissions,
        ("conversation", "conversations"): num_conversations,
        ("summary", "summaries"): num_summaries,
    }
    return ", ".join(f"{count:,} {one if count == 1 else many}" for (one, many), count in counts.items())
