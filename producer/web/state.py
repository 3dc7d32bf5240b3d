"""What the pages share: the services, and figures that are too dear to gather for every request."""

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from sqlalchemy import Engine
from starlette.requests import Request

from producer.services import Services

#: What took a second to gather is shown for this many seconds: the pages then cost the database a tenth of its time.
_TIMES_ITS_COST = 10.0

Value = TypeVar("Value")


@dataclass(slots=True)
class Memory:
    """Remembers figures for a while that grows with what they cost."""

    _known: dict[Hashable, tuple[Any, float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def recall(self, key: Hashable, gather: Callable[[], Value]) -> Value:
        """What is remembered, or gathered now. Others who want anything meanwhile wait, instead of gathering it too."""
        with self._lock:
            value, until = self._known.get(key, (None, 0.0))
            begun = time.monotonic()
            if begun >= until:
                value = gather()
                ended = time.monotonic()
                self._known = {key: each for key, each in self._known.items() if each[1] > ended}
                self._known[key] = (value, ended + (ended - begun) * _TIMES_ITS_COST)
            return cast(Value, value)

    def forget(self) -> None:
        """Gather everything anew: something was changed."""
        with self._lock:
            self._known.clear()


def services_of(request: Request) -> Services:
    """The services of the application."""
    return cast(Services, request.app.state.services)


def database_of(request: Request) -> Engine:
    """The ledger."""
    return services_of(request).database


def memory_of(request: Request) -> Memory:
    """The application's memory."""
    return cast(Memory, request.app.state.memory)
