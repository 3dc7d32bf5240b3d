"""Tells the webhook about submissions that have ended: one POST each, signed, at least once.

The body is what `aftercall status --json` says about the submission. Nothing else is sent and no answer is read but
its status.
"""

import hashlib
import hmac
import json
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from sqlalchemy import Engine

from aftercall import __version__
from aftercall.ledger import webhooks
from aftercall.ledger.webhooks import Message
from aftercall.settings import Settings
from producer import as_json
from producer.standing import read_standings

#: For the connection, and for each piece of the answer.
TIMEOUT_S = 10.0
#: For the whole exchange: an answer may come a byte at a time.
MAX_EXCHANGE_S = 30.0

SIGNATURE_HEADER = "Aftercall-Signature"
KEY_HEADER = "Idempotency-Key"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt to send a message."""

    submission_id: int
    attempts: int
    #: None: the receiver has it.
    error: str | None


def deliver_due(database: Engine, settings: Settings) -> list[Delivery]:
    """Send every message that is due, once. What fails is due again after a wait."""
    return [
        _deliver(database, settings, message) for message in webhooks.due(database) if webhooks.claim(database, message)
    ]


def _deliver(database: Engine, settings: Settings, message: Message) -> Delivery:
    body = message.body or webhooks.write(database, message.id, _status(database, settings, message.submission_id))
    error = post(settings.webhook_url, settings.webhook_secret, message.key, body)
    if error is None:
        webhooks.delivered(database, message.id)
    else:
        webhooks.failed(database, message.id, error)
    return Delivery(message.submission_id, message.attempts + 1, error)


def _status(database: Engine, settings: Settings, submission_id: int) -> str:
    standings = read_standings(database, [submission_id], deadline=settings.deadline or None)
    return json.dumps(as_json.headed("status", as_json.status(standings)), ensure_ascii=False)


def sign(secret: str, at: int, body: str) -> str:
    """The header's value: the time in seconds since the epoch, and the HMAC-SHA256 of `TIME.BODY` in hex."""
    signature = hmac.new(secret.encode(), f"{at}.{body}".encode(), hashlib.sha256).hexdigest()
    return f"t={at},v1={signature}"


def post(url: str, secret: str, key: str, body: str) -> str | None:
    """Send one message; returns why it failed, or None. Redirects are not followed, and no proxy is asked."""
    parts = urlsplit(url)
    connect = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"aftercall/{__version__}",
        KEY_HEADER: key,
        SIGNATURE_HEADER: sign(secret, int(time.time()), body),
    }
    connection = connect(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
    cutting = threading.Timer(MAX_EXCHANGE_S, _cut, (connection,))
    cutting.start()
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", target, body.encode(), headers)
        status = connection.getresponse().status
    except (OSError, HTTPException, ValueError) as error:
        return f"no answer ({type(error).__name__})"
    finally:
        cutting.cancel()
        connection.close()
    return None if 200 <= status < 300 else f"the answer was {status}"


def _cut(connection: HTTPConnection) -> None:
    with suppress(OSError):
        if connection.sock is not None:
            connection.sock.shutdown(socket.SHUT_RDWR)
