"""The next step, where it depends on the set-up: what a person types so that what waits is done."""

import time

from aftercall.ledger.pause import PauseRecord
from aftercall.masking import printable
from aftercall.settings import Settings
from producer.when import clock

RUN = "`aftercall run SOURCE`"
RUN_NEEDS_NO_REDIS = "`aftercall run` needs none: it starts its own."


def is_one_machine(settings: Settings) -> bool:
    """Whether nothing is set up but this machine: no database, and no Redis that a worker could listen to."""
    return settings.uses_embedded_database and "redis_url" not in settings.model_fields_set


def how_to_begin(settings: Settings) -> str:
    """How the first source gets summarized, where nothing was submitted yet."""
    return RUN if is_one_machine(settings) else "`aftercall submit SOURCE`"


def how_to_work(settings: Settings) -> str:
    """How what waits, with no worker alive, gets done."""
    return f"{RUN} does them" if is_one_machine(settings) else "start one with `aftercall worker`"


def pause_sentence(paused: PauseRecord) -> str:
    """Such as `paused since 02:10 by anna (the GPU is moved): nothing new is sent or begun. …`."""
    reason = f" ({printable(paused.reason)})" if paused.reason else ""
    since = f"paused since {clock(paused.paused_at, time.time())} by {printable(paused.user)}{reason}"
    return f"{since}: nothing new is sent or begun. `aftercall resume` ends that."
