"""The next step, where it depends on the set-up: what a person types so that what waits is done."""

from aftercall.settings import Settings

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
