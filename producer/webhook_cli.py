"""The command webhook."""

import click

from aftercall.errors import EXIT_SOME_FAILED, SettingsError
from aftercall.ledger import webhooks
from producer import as_json
from producer.options import json_option
from producer.services import open_services


@click.command()
@click.option("--retry", "is_retrying", is_flag=True, help="First make due what failed, also what was given up.")
@json_option
def webhook(is_retrying: bool, is_json: bool) -> int:
    """Tell AFTERCALL_WEBHOOK_URL which submissions have ended. Workers do this by themselves.

    Exit code 10: a message was not taken; it is sent again later.
    """
    from producer.webhook import deliver_due

    with as_json.keeping_stdout(is_json) as stdout, open_services(may_create=False) as services:
        if not services.settings.webhook_url:
            raise SettingsError("AFTERCALL_WEBHOOK_URL is not set, so no one can be told. Set it first.")
        if is_retrying:
            webhooks.retry(services.database)
        deliveries = deliver_due(services.database, services.settings)
        code = EXIT_SOME_FAILED if any(each.error for each in deliveries) else 0
        for each in deliveries:
            click.echo(f"submission {each.submission_id}: {each.error or 'told'}")
        if is_json:
            messages = [
                {"submission": each.submission_id, "attempts": each.attempts, "error": each.error}
                for each in deliveries
            ]
            as_json.write("webhook", {"messages": messages, "exit_code": code}, stdout)
    return code
