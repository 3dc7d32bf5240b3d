"""The commands pause and resume."""

import click

from aftercall.ledger import pause as ledger_pause
from aftercall.terminal import say
from producer import show
from producer.services import open_services, reaches_redis, refuse_missing


@click.command()
@click.option("--reason", default="", help="Why, for those who look at the status.")
def pause(reason: str) -> None:
    """Send and begin nothing more, in all processes, until `aftercall resume`. What is in progress ends."""
    with open_services(may_create=False) as services:
        refuse_missing(services.settings, "nothing is paused")
        has_begun = ledger_pause.begin(services.database, reason)
        paused = ledger_pause.current(services.database)
    if not has_begun:
        say("it was paused before, nothing is changed")
    show.pause(paused)


@click.command()
def resume() -> None:
    """End the pause: what waits is sent again, and workers go on within seconds."""
    with open_services(may_create=False) as services:
        refuse_missing(services.settings, "nothing is resumed")
        if not ledger_pause.end(services.database):
            say("nothing is paused")
            return
        say("resumed: workers go on within seconds")
        if reaches_redis(services):
            say(f"{services.sweeper.top_up():,} conversations sent")
