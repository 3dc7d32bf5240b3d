"""The embedded Valkey server comes up where it can, and says so where it cannot."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from aftercall import embedded
from aftercall.embedded import embedded_broker
from aftercall.errors import BrokerError


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port that another program was given between its choice and the server's start."""
    other = socket.socket()
    other.bind(("127.0.0.1", 0))
    other.listen()
    yield other.getsockname()[1]
    other.close()


def test_a_port_that_another_program_took_meanwhile_is_passed_over(
    taken_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = iter([taken_port, embedded._free_port()])
    monkeypatch.setattr(embedded, "_free_port", lambda: next(ports))
    with embedded_broker(tmp_path) as url, redis.Redis.from_url(url) as client:
        assert client.ping()


def test_a_server_that_never_comes_up_is_told_with_its_log(
    taken_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_free_port", lambda: taken_port)
    with (
        pytest.raises(BrokerError, match=r"did not start; its messages are in .*valkey\.log"),
        embedded_broker(tmp_path),
    ):
        pass
    assert "Address already in use" in (tmp_path / "valkey" / "valkey.log").read_text()
