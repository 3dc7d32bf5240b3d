"""Secrets from files, as Docker and Kubernetes mount them: AFTERCALL_REDIS_URL_FILE names a file with the URL in it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from aftercall.errors import SettingsError

#: The variables that name such a file, each with the setting that the file holds.
SECRET_FILES: Final = {
    "AFTERCALL_DATABASE_URL_FILE": "database_url",
    "AFTERCALL_REDIS_URL_FILE": "redis_url",
    "AFTERCALL_MESSAGE_KEY_FILE": "message_key",
    "AFTERCALL_WEB_PASSWORD_FILE": "web_password",
    "AFTERCALL_WEBHOOK_URL_FILE": "webhook_url",
    "AFTERCALL_WEBHOOK_SECRET_FILE": "webhook_secret",
}

#: A URL or a key is shorter. A variable that names a large file by mistake is found before the file is read.
MAX_BYTES: Final = 16_384

#: A shorter key could be guessed from one signed message.
MIN_KEY_CHARS: Final = 32


def read_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """The settings that the files hold, without the line break at their ends.

    Raises SettingsError if a file can't be read or is empty, if a setting is given in both ways with different values,
    or if the message key is too short. No message shows a secret.
    """
    secrets = {}
    for variable, setting in SECRET_FILES.items():
        if path := environment.get(variable):
            secrets[setting] = _read(variable, Path(path))
            # A child inherits the variable of the file and gets the setting itself too.
            plain = environment.get(variable.removesuffix("_FILE"))
            if plain and plain != secrets[setting]:
                raise SettingsError(
                    f"both {variable} and {variable.removesuffix('_FILE')} are set, to different values. Unset one."
                )
    key = secrets.get("message_key") or environment.get("AFTERCALL_MESSAGE_KEY", "")
    if key and len(key) < MIN_KEY_CHARS:
        raise SettingsError(
            f"AFTERCALL_MESSAGE_KEY has {len(key)} characters; expected at least {MIN_KEY_CHARS}. Make one with "
            "`openssl rand -hex 32`, and give it to every producer and worker."
        )
    return secrets


def check_webhook(url: str, secret: str) -> None:
    """Make sure that a webhook can be told: its URL is http or https, and there is a secret that can't be guessed.

    Raises SettingsError, which shows neither: a URL may have a token in it.
    """
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable or not url.isascii() or not url.isprintable() or " " in url:
        raise SettingsError("AFTERCALL_WEBHOOK_URL is not a URL like https://HOST/PATH. Only http and https are used.")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise SettingsError(
            "AFTERCALL_WEBHOOK_URL has a user, a password or a fragment in it, which are not sent. Take them out: the "
            "receiver knows aftercall by the signature."
        )
    if len(secret) < MIN_KEY_CHARS:
        raise SettingsError(
            f"AFTERCALL_WEBHOOK_SECRET has {len(secret)} characters; AFTERCALL_WEBHOOK_URL needs at least "
            f"{MIN_KEY_CHARS}. Make one with `openssl rand -hex 32`, and give it to the receiver."
        )


def _read(variable: str, path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SettingsError(f"{variable}={path} has more than {MAX_BYTES:,} bytes; expected a secret in one line.")
        text = path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        cause = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SettingsError(
            f"{variable}={path} cannot be read: {cause}. Correct the path or the file's rights."
        ) from None
    if not text or "\n" in text:
        raise SettingsError(f"{variable}={path} has {'several lines' if text else 'no text'}; expected one line.")
    return text
