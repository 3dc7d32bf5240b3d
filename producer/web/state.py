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
class _Figure:
    """A figure that is remembered until then; whoever gathers it holds the lock."""

    value: Any = None
    until: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(slots=True)
class Memory:
    """Remembers figures for a while that grows with what they cost."""

    _known: dict[Hashable, _Figure] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def recall(self, key: Hashable, gather: Callable[[], Value]) -> Value:
        """What is remembered, or gathered now. Others who want the same meanwhile wait, instead of gathering it too."""
        figure = self._find(key)
        with figure.lock:
            begun = time.monotonic()
            if begun >= figure.until:
                figure.value = gather()
                ended = time.monotonic()
                figure.until = ended + (ended - begun) * _TIMES_ITS_COST
            return cast(Value, figure.value)

    def forget(self) -> None:
        """Gather everything anew: something was changed."""
        with self._lock:
            self._known = {}

    def _find(self, key: Hashable) -> _Figure:
        with self._lock:
            now = time.monotonic()
            self._known = {other: each for other, each in self._known.items() if each.until > now or each.lock.locked()}
            return self._known.setdefault(key, _Figure())


def services_of(request: Request) -> Services:
    """The services of the application."""
    return cast(Services, request.app.state.services)


def database_of(request: Request) -> Engine:
    """The ledger."""
    return services_of(request).database


def memory_of(request: Request) -> Memory:
    """The application's memory."""
    return cast(Memory, request.app.state.memory)
