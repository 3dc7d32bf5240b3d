"""Who may open the pages, and what every answer says to the browser.

- The `Host` header must be a name of this server. Otherwise another site could resolve its own name to this address
  and read the pages through a visitor's browser (DNS rebinding).
- The password is asked for by HTTP Basic authentication, which Prometheus speaks too. The user's name is free: it only
  tells reviewers apart.
- Every POST carries a token that belongs to a cookie of this browser, so that other sites can't send forms.
"""

import asyncio
import base64
import hmac
import ipaddress
import re
import secrets
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final
from urllib.parse import parse_qsl

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE: Final = "aftercall_form"
TOKEN_FIELD: Final = "token"  # noqa: S105 - the name of a form's field

#: A form holds at most a corrected summary.
MAX_FORM_BYTES: Final = 100_000

_HOST: Final = re.compile(r"(?P<name>[\w.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?", re.ASCII)

#: A wrong password costs this long.
_DELAY_S: Final = 1.0

_HEADERS: Final = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    # Not no-referrer, with which browsers send `Origin: null`.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}

#: The report has its styles inside the page.
REPORT_POLICY: Final = _HEADERS["content-security-policy"].replace("style-src 'self'", "style-src 'unsafe-inline'")


@dataclass(frozen=True, slots=True)
class Access:
    """Who may open the pages."""

    #: Empty: anyone who reaches the address.
    password: str = field(repr=False)
    is_loopback: bool
    #: Names by which the server is reached, in lower case, besides `localhost` and addresses.
    names: frozenset[str] = frozenset()
    #: Signs the forms' tokens; another one in each process.
    key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    def knows_host(self, host: str) -> bool:
        """Whether a `Host` header names this server. An address can't be rebound; a name can."""
        match = _HOST.fullmatch(host)
        if match is None:
            return False
        name = match["name"].strip("[]").lower()
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return name == "localhost" or name in self.names
        return address.is_loopback or not self.is_loopback

    def find_user(self, header: str) -> str | None:
        """The user's name in an `Authorization` header; None if the password is not right."""
        if not self.password:
            return ""
        scheme, _, encoded = header.partition(" ")
        try:
            name, colon, given = base64.b64decode(encoded, validate=True).decode().partition(":")
        except ValueError:
            # Not Base64, or not UTF-8.
            return None
        is_right = hmac.compare_digest(sha256(given.encode()).digest(), sha256(self.password.encode()).digest())
        return name.strip() if is_right and colon and scheme.lower() == "basic" else None

    def make_token(self, cookie: str) -> str:
        """The token of this browser's forms."""
        return hmac.new(self.key, cookie.encode(), sha256).hexdigest()

    def is_token(self, cookie: str, token: str) -> bool:
        """Whether a form was made for this browser."""
        return bool(cookie) and hmac.compare_digest(self.make_token(cookie).encode(), token.encode())


class Guard:
    """ASGI middleware: lets in what `Access` allows, and sets the headers of every answer.

    The application finds `user`, `token` and, in a POST, `form` in the request's state.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        cookie = Request(scope).cookies.get(COOKIE, "")
        new_cookie = "" if cookie else secrets.token_urlsafe(32)

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if new_cookie:
                    headers.append("set-cookie", f"{COOKIE}={new_cookie}; Path=/; HttpOnly; SameSite=Strict")
            await send(message)

        state = scope.setdefault("state", {})
        state["token"] = self._access.make_token(cookie or new_cookie)
        refusal = await self._refuse(Request(scope, receive), cookie)
        await (refusal or self._app)(scope, receive, send_guarded)

    async def _refuse(self, request: Request, cookie: str) -> Response | None:
        """The answer to a request that is not let in; None if it is."""
        headers = request.headers
        if not self._access.knows_host(headers.get("host", "")):
            return PlainTextResponse(
                "This server is not known by that name. Open it by its address, or start it with --name NAME.\n", 421
            )
        user = self._access.find_user(headers.get("authorization", ""))
        if user is None:
            if "authorization" in headers:
                await asyncio.sleep(_DELAY_S)
            challenge = {"www-authenticate": 'Basic realm="aftercall", charset="UTF-8"'}
            return PlainTextResponse("Any user name, and the password of AFTERCALL_WEB_PASSWORD.\n", 401, challenge)
        request.state.user = user
        if request.method in ("GET", "HEAD"):
            return None
        return await self._refuse_form(request, cookie)

    async def _refuse_form(self, request: Request, cookie: str) -> Response | None:
        if request.method != "POST":
            return PlainTextResponse("Only GET and POST are served.\n", 405)
        form = await _read_form(request)
        if form is None:
            return PlainTextResponse(f"A form has at most {MAX_FORM_BYTES:,} bytes.\n", 413)
        if not _is_same_origin(request.headers) or not self._access.is_token(cookie, form.pop(TOKEN_FIELD, "")):
            return PlainTextResponse("This form is out of date. Go back, load the page again, and repeat.\n", 403)
        request.state.form = form
        return None


async def _read_form(request: Request) -> dict[str, str] | None:
    """The fields of a form; None if it is too large."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_FORM_BYTES:
            return None
    pairs = parse_qsl(body.decode(errors="replace"), keep_blank_values=True, errors="replace", max_num_fields=None)
    return dict(pairs)


def _is_same_origin(headers: Headers) -> bool:
    """Whether a form comes from one of our pages, by what the browser says of it."""
    host = headers.get("host")
    is_ours = headers.get("origin") in (None, f"http://{host}", f"https://{host}")
    return is_ours and headers.get("sec-fetch-site", "same-origin") == "same-origin"
