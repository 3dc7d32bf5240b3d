"""The commands wait, report, night and metrics. Each only calls its module."""

import click

from producer import as_json
from producer.options import choose_several, deadline_option, json_option, latest_option, timeout_option
from producer.services import open_services


@click.command()
@click.argument("submissions", type=int, nargs=-1)
@latest_option
@timeout_option
@deadline_option
@json_option
def wait(
    submissions: tuple[int, ...], is_latest: bool, timeout_s: float | None, deadline: str | None, is_json: bool
) -> int:
    """Wait until SUBMISSIONS, or all, have ended. Exit code 0: all done, 10: some failed, 15: time is up."""
    from producer import wait as waiting

    with as_json.keeping_stdout(is_json) as stdout, open_services(may_create=False) as services:
        chosen = choose_several(services.database, submissions, is_latest)
        limits = waiting.make_limits(timeout_s, deadline or services.settings.deadline)
        waited = waiting.wait(services.database, chosen, limits)
        waiting.tell(waited)
    if is_json:
        content = as_json.status(waited.standings) | {"time_up": waited.is_time_up, "exit_code": waited.exit_code}
        as_json.write("wait", content, stdout)
    return waited.exit_code
