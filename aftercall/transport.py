"""kombu's Redis transport, with every message of the task queue checked before kombu and Celery see it.

What can't be read is moved to the dead-letter list, once, with a line in the log. The worker goes on.
"""

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import redis
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as kombu_redis

from aftercall import dead_letters
from aftercall.envelope import build_envelope, read_envelope
from aftercall.logs import event
from aftercall.message import MessageError

logger = logging.getLogger(__name__)


class Channel(kombu_redis.Channel):  # type: ignore[misc]
    """A channel that consumes only messages it can read."""

    from_transport_options = (*kombu_redis.Channel.from_transport_options, "task_queue")

    #: Name of the queue whose messages are checked.
    task_queue = ""

    #: With it, messages without its signature are set aside. Not a transport option: `celery inspect conf` shows those
    #: to everyone who can write to Redis.
    message_key = ""

    def _create_client(self, asynchronous: bool = False) -> Any:
        client = super()._create_client(asynchronous)
        if asynchronous:
            # The one client that takes messages, and the last place where they are still bytes.
            client.parse_response = partial(self._parse_checked, client.parse_response)
        return client

    def _parse_checked(self, parse: Callable[..., Any], connection: Any, command: str, **options: Any) -> Any:
        """The server's answer. A message that can't be read becomes None: the answer if no message had come."""
        answer = parse(connection, command, **options)
        if command != "BRPOP" or not answer or answer[0].decode() != self.task_queue:
            return answer
        key, raw = answer
        try:
            return key, build_envelope(read_envelope(raw, self.message_key), self.task_queue)
        except MessageError as error:
            self._set_aside(raw, str(error))
            return None

    def _set_aside(self, raw: bytes, reason: str) -> None:
        try:
            with self.conn_or_acquire() as client:
                dead_letters.add(client, self.task_queue, raw, reason)
        except redis.ResponseError as error:
            # Such as a full Redis. The jobs of the message, if it had any, are in the ledger.
            dropped = event("message_dropped")
            logger.error(
                "dropped %s, as Redis did not take it into the dead-letter list: %s", reason, error, extra=dropped
            )
        else:
            logger.error(
                "set aside %s. Its jobs, if it has any, are in the ledger and will be sent again. "
                "`aftercall doctor` counts such messages.",
                reason,
                extra=event("message_set_aside"),
            )


class Transport(kombu_redis.Transport):  # type: ignore[misc]
    """The transport of redis:// and rediss:// URLs in this process."""

    Channel = Channel


def install(message_key: str = "") -> None:
    """Make kombu use this transport, with the key of signed messages for the consumer of this process.

    Under the schemes' own names: under another, rediss:// would go unencrypted.
    """
    Channel.message_key = message_key
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{Transport.__module__}:{Transport.__name__}"
