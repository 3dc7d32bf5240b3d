"""Starts `aftercall webhook` in a process of its own when a message to the webhook is due.

A receiver that hangs then holds up neither the sweep nor a worker's engine.
"""

import json
import logging
import os
import subprocess
import time
from contextlib import suppress
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from aftercall.database_errors import describe
from aftercall.ledger import webhooks
from aftercall.logs import event
from aftercall.processes import python_command
from aftercall.settings import Settings

logger = logging.getLogger(__name__)

#: A process that delivers for longer is ended; what it had not delivered is due again.
MAX_DELIVERY_S = 120.0

#: After a process that said nothing, as when the database is away.
WAIT_S = 60.0


class Notifier:
    """Delivers what is due, one process at a time. Call `poll` every few seconds."""

    def __init__(self, database: Engine, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._process: subprocess.Popen[str] | None = None
        self._started_at = 0.0
        #: A delivery that could not even begin is not tried again at once.
        self._not_before = 0.0

    def poll(self) -> None:
        """Start a delivery if one is due and none runs, and log what became of the last one."""
        if self._process is not None and not self._reap(self._process):
            return
        self._process = None
        if time.monotonic() < self._not_before:
            return
        try:
            is_due = bool(webhooks.due(self._database))
        except DBAPIError as error:
            logger.warning("the webhook waits: %s", describe(error), extra=event("upkeep_waits"))
            return
        if is_due:
            self._process, self._started_at = self._start(), time.monotonic()

    def finish(self) -> None:
        """Deliver what is due once, and wait for it."""
        self.poll()
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(MAX_DELIVERY_S)
            self._started_at -= MAX_DELIVERY_S
            self._reap(self._process)
            self._process = None

    def _start(self) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            python_command("aftercall", "webhook", "--json"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **self._settings.to_environment()},
            # Without a `preexec_fn`, which is unsafe in a process with many threads: what it sends is bounded anyway.
            start_new_session=True,
        )

    def _reap(self, process: "subprocess.Popen[str]") -> bool:
        """Whether the process has ended, by itself or because it took too long."""
        if process.poll() is None:
            if time.monotonic() - self._started_at < MAX_DELIVERY_S:
                return False
            process.kill()
        said, _ = process.communicate()
        try:
            messages = json.loads(said)["messages"]
        except ValueError:
            self._not_before = time.monotonic() + WAIT_S
            fields = event("webhook_failed", exit_code=process.returncode)
            logger.warning("`aftercall webhook` ended with exit code %d", process.returncode, extra=fields)
            return True
        for each in messages:
            _log(each)
        return True


def _log(message: dict[str, Any]) -> None:
    fields = {name: message[name] for name in ("submission", "attempts")}
    if message["error"] is None:
        logger.info(
            "the webhook was told that submission %d ended",
            message["submission"],
            extra=event("webhook_delivered", **fields),
        )
    else:
        logger.warning(
            "the webhook was not told that submission %d ended: %s",
            message["submission"],
            message["error"],
            extra=event("webhook_failed", **fields),
        )
