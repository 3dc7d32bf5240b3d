"""The server of the pages: its address, its password, its life."""

import ipaddress
import signal
import socket
from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager

import uvicorn

from aftercall.errors import AftercallError, SettingsError
from aftercall.processes import handling_signals
from producer.services import Services
from producer.web.access import Access
from producer.web.app import build

#: A shorter password could be found by trying, on an address that others reach.
MIN_PASSWORD_CHARS = 12

#: How long running requests may finish after SIGTERM.
_DRAIN_S = 5


def serve(services: Services, host: str, port: int, names: Collection[str], on_ready: Callable[[str], None]) -> None:
    """Serve the pages until SIGINT or SIGTERM.

    Args:
        port: 0 takes a free one.
        names: by which the server is reached, in addition to addresses and `localhost`.
        on_ready: called with the page's URL once connections are taken.

    Raises SettingsError if the address needs a password and there is none, AftercallError if it can't be taken.
    """
    listening = _listen(host, port)
    with listening:
        address = listening.getsockname()
        access = Access(
            services.settings.web_password,
            ipaddress.ip_address(address[0]).is_loopback,
            frozenset(name.lower() for name in names),
        )
        _check_password(access, host)
        config = uvicorn.Config(
            build(services, access),
            log_level="warning",
            access_log=False,
            server_header=False,
            lifespan="off",
            ws="none",
            # Behind a proxy, nothing here depends on the client's address.
            proxy_headers=False,
            timeout_graceful_shutdown=_DRAIN_S,
        )
        shown = f"[{address[0]}]" if listening.family == socket.AF_INET6 else address[0]
        on_ready(f"http://{shown}:{address[1]}/")
        _Server(config).run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        raise AftercallError(
            f"cannot listen on {host} port {port}: {error.strerror}. Name another address (--host) or port (--port)."
        ) from None


def _check_password(access: Access, host: str) -> None:
    if not access.is_loopback and len(access.password) < MIN_PASSWORD_CHARS:
        has = f"one of {len(access.password)} characters is set" if access.password else "none is set"
        raise SettingsError(
            f"other machines reach {host}, so a password of at least {MIN_PASSWORD_CHARS} characters is needed, and "
            f"{has}. Set AFTERCALL_WEB_PASSWORD, AFTERCALL_WEB_PASSWORD_FILE to a file, or stay on 127.0.0.1."
        )


class _Server(uvicorn.Server):
    """Ends on a signal with a normal return. Its base raises the signal again, which looks like a crash to systemd."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Handle the signals while it serves."""
        with handling_signals(self.handle_exit, signal.SIGINT, signal.SIGTERM):
            yield
