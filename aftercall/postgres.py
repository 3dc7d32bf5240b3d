"""Connections to PostgreSQL that never wait forever: on connecting, on a dead network, or on an answer."""

import time
from collections.abc import Generator
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen

CONNECT_TIMEOUT_S = 10

#: libpq's parameters. A dead peer is noticed within about a minute, also while nothing is sent.
TCP_PARAMETERS = {
    "connect_timeout": CONNECT_TIMEOUT_S,
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}

Returned = TypeVar("Returned")


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that gives up on an answer after `answer_timeout_s`.

    TCP's own timeouts don't notice a proxy that acknowledges every packet and forwards none. The server's
    statement_timeout doesn't either, as its message would come through the same proxy.
    """

    answer_timeout_s = float("inf")

    def wait(self, gen: PQGen[Returned], *args: Any, **kwargs: Any) -> Returned:
        """Run one exchange with the server. Raises OperationalError, with the connection closed, after the timeout."""
        return super().wait(self._bounded(gen), *args, **kwargs)

    def _bounded(self, exchange: PQGen[Returned]) -> Generator[Any, Any, Returned]:
        """The same exchange. psycopg resumes it every 0.1 s also when nothing has arrived."""
        deadline = time.monotonic() + self.answer_timeout_s
        try:
            state = next(exchange)
            while True:
                ready = yield state
                if time.monotonic() > deadline:
                    # In the middle of an exchange the connection can't be used again.
                    self.close()
                    raise psycopg.OperationalError(f"no answer within {self.answer_timeout_s:g} s")
                state = exchange.send(ready)
        except StopIteration as ended:
            returned: Returned = ended.value
            return returned


def connect_bounded(answer_timeout_s: float, *args: Any, **parameters: Any) -> BoundedConnection:
    """Connect, and let the server cancel a statement a little before this side gives up on its answer."""
    connection = BoundedConnection.connect(*args, **parameters)
    connection.answer_timeout_s = answer_timeout_s
    connection.execute(f"SET statement_timeout = {max(1, round(answer_timeout_s * 900))}")
    connection.commit()
    return connection
