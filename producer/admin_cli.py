"""The commands status, failures, cancel, requeue, purge and doctor. Each only calls its module."""

from collections import Counter
from functools import partial
from pathlib import Path

import click

from aftercall.errors import EXIT_NOT_WELL, NotReadyError
from aftercall.ledger import account, control, webhooks
from aftercall.masking import printable
from aftercall.models import JobState
from aftercall.settings import load_settings
from aftercall.sweep import Swept
from producer import as_json
from producer import purge as purging
from producer.options import choose, deadline_option, json_option, latest_option
from producer.output import STDOUT
from producer.services import OUT, Services, confirm, open_services, reaches_redis
from producer.standing import read_standings
from producer.status import status as show_status

NO_DEAD = "there are no dead messages: workers could read all that came."


@click.command()
@click.argument("submission", type=int, required=False)
@latest_option
@click.option("--watch", "is_watching", is_flag=True, help="Show it again every two seconds until nothing is open.")
@deadline_option
@json_option
def status(submission: int | None, is_latest: bool, is_watching: bool, deadline: str | None, is_json: bool) -> None:
    """Show the account of SUBMISSION, or of all, and the workers.

    Always: submitted = waiting + running + done + failed + cancelled + insufficient. Rejected rows are not among them.
    """
    if is_json and is_watching:
        raise click.UsageError("--json goes without --watch: call it again, or use `aftercall wait --json`.")
    with open_services(may_create=False) as services:
        database = services.database
        chosen = choose(database, submission, is_latest)
        read = partial(read_standings, database, chosen, deadline or services.settings.deadline)
        if is_json:
            as_json.write("status", as_json.status(read()))
        else:
            show_status(read, is_watching=is_watching)


@click.command()
@click.argument("submission", type=int, required=False)
@click.option("--code", help="Only what failed with this code, one conversation per line.")
@click.option("--ids", "with_ids", is_flag=True, help="One conversation per line: submission, id, code, reason.")
@click.option("--out", type=OUT, help="Write them to this CSV file instead; - for stdout.")
@json_option
def failures(submission: int | None, code: str | None, with_ids: bool, out: Path | None, is_json: bool) -> None:
    """Show why conversations of SUBMISSION, or of all, failed: counted by code, with an example."""
    from producer import failures as shown

    if is_json and out is not None:
        raise click.UsageError("--json prints to stdout: leave --out away, or redirect it.")
    with open_services(may_create=False) as services:
        if submission is not None:
            account.submission(services.database, submission)
        if is_json:
            shown.write_json(services.database, submission, code, with_ids=with_ids)
        elif out is not None:
            num_lines = shown.write(services.database, submission, code, out)
            if out != STDOUT:
                click.echo(f"{num_lines} failed conversations written to {out}")
        elif with_ids or code:
            shown.list_each(services.database, submission, code)
        else:
            shown.show_counts(services.database, submission)


@click.command()
@click.argument("submission", type=int)
def cancel(submission: int) -> None:
    """Stop SUBMISSION: no more of it starts. Finished summaries are kept."""
    with open_services(may_create=False) as services:
        record = account.submission(services.database, submission)
        num_cancelled = control.cancel(services.database, submission)
        is_cancelled = account.submission(services.database, submission).is_cancelled
        outcome = (
            f"{num_cancelled} conversations cancelled" if is_cancelled else "nothing is open, nothing is cancelled"
        )
        click.echo(f"submission {submission} ({printable(record.name)}): {outcome}")
        show_status(partial(read_standings, services.database, [submission]), is_watching=False)


@click.command()
@click.argument("submission", type=int, required=False)
@click.option("--failed", "with_failed", is_flag=True, help="Also queue again what failed, with all its attempts.")
@click.option("--code", help="With --failed: only what failed with this code.")
@click.option("--cancelled", "with_cancelled", is_flag=True, help="Also queue again what was cancelled.")
@click.option("--dead", "with_dead", is_flag=True, help="Also put back messages that no worker could read.")
def requeue(submission: int | None, with_failed: bool, code: str | None, with_cancelled: bool, with_dead: bool) -> None:
    """Send conversations again that wait without a message or whose worker is gone.

    With --failed or --cancelled, those of SUBMISSION (or of all) are queued again first.
    """
    if code and (with_cancelled or not with_failed):
        raise click.UsageError("--code goes with --failed, and not with --cancelled.")
    states = [JobState.FAILED] * with_failed + [JobState.CANCELLED] * with_cancelled
    with open_services(may_create=False) as services:
        if submission is not None:
            account.submission(services.database, submission)
        if states:
            num_queued = control.requeue(services.database, submission, states, code)
            click.echo(f"{num_queued} conversations queued again")
            if submission is not None and num_queued and services.settings.webhook_url:
                webhooks.ask(services.database, submission)
        if reaches_redis(services):
            click.echo(_what_was_swept(services.sweeper.sweep()))
            if with_dead:
                num_dead = services.broker.requeue_dead()
                click.echo(f"{_messages(num_dead)} put back into the queue" if num_dead else NO_DEAD)


def _messages(number: int) -> str:
    return f"{number:,} message{'s' * (number != 1)}"


def _what_was_swept(swept: Swept) -> str:
    if swept == Swept():
        return "nothing to send again."
    return (
        f"{swept.num_expired} leases of silent workers ended, {swept.num_lost} lost messages found; "
        f"{swept.num_sent} conversations sent"
    )


@click.command()
@click.argument("submissions", type=int, nargs=-1)
@click.option("--older-than", "age_s", type=purging.parse_age, metavar="AGE", help="What is older than 12h, 30d or 4w.")
@click.option("--dead", "is_dead", is_flag=True, help="Instead, delete the messages that no worker could read.")
@click.option("--dry-run", "is_dry_run", is_flag=True, help="Only say what would be deleted.")
@click.option("--yes", "is_agreed", is_flag=True, help="Do not ask.")
def purge(submissions: tuple[int, ...], age_s: float | None, is_dead: bool, is_dry_run: bool, is_agreed: bool) -> int:
    """Delete SUBMISSIONS, or all that are old enough, from the database: conversations and summaries, for good.

    Submissions with conversations that wait or run are left alone, and the exit code is then 16. Conversations that
    another submission holds stay too.
    """
    if (bool(submissions), age_s is not None, is_dead).count(True) != 1:
        raise click.UsageError(
            "say what to delete: either numbers of submissions, or --older-than such as 30d, or --dead."
        )
    with open_services(may_create=False) as services:
        if is_dead:
            _purge_dead(services, is_dry_run, is_agreed)
            return 0
        purging.refuse_missing(services.settings)
        database = services.database
        plan = purging.plan_named(database, submissions) if age_s is None else purging.plan_older(database, age_s)
        purging.show_plan(plan)
        is_all = not plan.left_alone
        if is_dry_run:
            return 0
        if plan.submissions:
            if not is_agreed and not confirm("delete this for good?", "nothing is deleted"):
                return 0
            is_all &= purging.delete(database, plan)
        return 0 if is_all else NotReadyError.exit_code


def _purge_dead(services: Services, is_dry_run: bool, is_agreed: bool) -> None:
    num_dead, _ = services.broker.dead_letters()
    if not num_dead:
        click.echo(NO_DEAD)
        return
    click.echo(f"to delete: {_messages(num_dead)} that no worker could read")
    if not is_dry_run and (is_agreed or confirm("delete this for good?", "nothing is deleted")):
        click.echo(f"{_messages(services.broker.purge_dead())} deleted")


@click.command()
@json_option
def doctor(is_json: bool) -> int:
    """Check every part, and say what is wrong and what to do: ledger, Redis, queue, workers, disk, model.

    Changes nothing. Reads whole tables: some seconds at a million conversations.
    """
    from producer.doctor.examine import examine
    from producer.doctor.finding import Level
    from producer.show import finding

    found = []
    for each in examine(load_settings()):
        found.append(each)
        if not is_json:
            finding(each)
    levels = Counter(each.level for each in found)
    exit_code = EXIT_NOT_WELL if levels[Level.ERROR] else 0
    if is_json:
        as_json.write("doctor", as_json.findings(found, exit_code))
    else:
        click.echo(f"errors: {levels[Level.ERROR]}, warnings: {levels[Level.WARNING]}")
    return exit_code
