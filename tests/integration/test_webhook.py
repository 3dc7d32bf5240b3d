"""The webhook: a real server on loopback that answers, fails, hangs and redirects."""

import ast
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, update

from aftercall.ledger import webhooks
from aftercall.models import Webhook
from aftercall.settings import Settings
from tests.fixtures.command import Answer
from tests.fixtures.json_schemas import read_valid
from tests.fixtures.workers import WorkerStarter, wait_until, wait_until_finished, write_source

SECRET = "s" * 40
#: Answers a byte at a time, without end.
DRIPPING = -1
SQLITE_ONLY = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


class Receiver(ThreadingHTTPServer):
    """Keeps what it is sent, and answers with the next of `answers`, then 200; 0 closes the connection."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: list[int] = []
        self.is_ending = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook?for=night"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, dict(self.headers), body))
        status = self.server.answers.pop(0) if self.server.answers else 200
        if status == 0:
            return
        if status == DRIPPING:
            with suppress(OSError):
                while not self.server.is_ending.wait(0.1):
                    self.wfile.write(b"H")
            return
        self.send_response(status)
        self.send_header("Location", "/elsewhere")
        self.end_headers()

    do_GET = do_POST

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver that ends with the test."""
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.is_ending.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def settings(settings: Settings, receiver: Receiver) -> Settings:
    """Settings of a test that has a receiver."""
    return settings.model_copy(update={"webhook_url": receiver.url, "webhook_secret": SECRET})


def make_due(database: Engine) -> None:
    """Let the wait before the next attempt pass."""
    with database.begin() as connection:
        connection.execute(update(Webhook).values(due_at=0.0))


def is_genuine(header: str, body: bytes, secret: str) -> bool:
    """As the documentation tells a receiver to check it."""
    page = (Path(__file__).parents[2] / "docs/operations.md").read_text()
    [code] = re.findall(r"```python\n(def is_genuine.*?)```", page, flags=re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(ast.parse(f"import hashlib, hmac\n{code}"), "docs", "exec"), names)  # noqa: S102
    return bool(names["is_genuine"](header, body, secret, time.time()))


@SQLITE_ONLY
def test_a_worker_tells_the_end_once_signed_and_with_the_status(
    command: Callable[..., Answer], receiver: Receiver, start_worker: WorkerStarter, database: Engine, tmp_path: Path
) -> None:
    command("submit", str(write_source(tmp_path / "night.csv", "abc")))
    worker = start_worker()
    wait_until(lambda: receiver.got, "a message")
    [(path, headers, body)] = receiver.got
    assert path == "/hook?for=night"
    told = read_valid("status", body.decode())
    assert (told["submissions"][0]["source"], told["total"]["done"]) == ("night.csv", 3)
    assert is_genuine(headers["Aftercall-Signature"], body, SECRET)
    assert not is_genuine(headers["Aftercall-Signature"], body, "t" * 40)
    assert not is_genuine(headers["Aftercall-Signature"], body.replace(b"night", b"other"), SECRET)
    wait_until(lambda: "the webhook was told" in worker.log.read_text(), "a line of the log")
    assert SECRET not in worker.log.read_text()

    # Neither another look nor the same source again sends anything.
    make_due(database)
    command("submit", str(tmp_path / "night.csv"))
    assert read_valid("webhook", command("webhook", "--json").output)["messages"] == []
    assert len(receiver.got) == 1
    # New conversations do.
    command("submit", str(write_source(tmp_path / "more.csv", "abcd")))
    wait_until(lambda: len(receiver.got) == 2, "the end of the second submission")
    assert receiver.got[1][1]["Idempotency-Key"] != headers["Idempotency-Key"]


def test_a_message_is_repeated_until_it_is_taken_with_one_key_and_one_body(
    command: Callable[..., Answer], receiver: Receiver, database: Engine, tmp_path: Path
) -> None:
    command("submit", str(write_source(tmp_path / "night.csv", "a")))
    assert command("webhook").output == ""
    command("cancel", "1")
    receiver.answers = [500, 302, 0]
    errors = []
    for _ in range(4):
        answer = command("webhook", "--json")
        [message] = read_valid("webhook", answer.output)["messages"]
        errors.append((answer.exit_code, message["attempts"], message["error"]))
        # Not due before its wait is over.
        assert read_valid("webhook", command("webhook", "--json").output)["messages"] == []
        make_due(database)
    assert errors[:2] == [(10, 1, "the answer was 500"), (10, 2, "the answer was 302")]
    assert errors[2][1:] == (3, "no answer (RemoteDisconnected)")
    assert errors[3] == (0, 4, None)
    assert len(receiver.got) == 4
    assert {path for path, _, _ in receiver.got} == {"/hook?for=night"}
    assert len({(headers["Idempotency-Key"], body) for _, headers, body in receiver.got}) == 1


@SQLITE_ONLY
def test_a_crash_between_the_end_and_the_delivery_loses_nothing(
    command: Callable[..., Answer], receiver: Receiver, start_worker: WorkerStarter, database: Engine, tmp_path: Path
) -> None:
    command("submit", str(write_source(tmp_path / "night.csv", "ab")))
    worker = start_worker()
    wait_until_finished(database, 1)
    worker.kill()
    # As if the process had died after it took the message and before it sent it.
    for message in webhooks.due(database):
        assert webhooks.claim(database, message)
        assert not webhooks.claim(database, message)
    make_due(database)
    num_before = len(receiver.got)
    command("webhook")
    assert len(receiver.got) >= max(1, num_before)
    assert len({headers["Idempotency-Key"] for _, headers, _ in receiver.got}) == 1
    assert webhooks.due(database) == []


@SQLITE_ONLY
def test_attempts_end_and_can_be_asked_for_again(
    command: Callable[..., Answer], receiver: Receiver, database: Engine, tmp_path: Path
) -> None:
    command("submit", str(write_source(tmp_path / "night.csv", "a")))
    command("cancel", "1")
    receiver.answers = [503]
    command("webhook")
    with database.begin() as connection:
        connection.execute(update(Webhook).values(attempts=webhooks.MAX_ATTEMPTS, due_at=0.0))
    assert command("webhook").output == ""
    assert command("webhook", "--retry").output == "submission 1: told\n"
    assert len(receiver.got) == 2


@SQLITE_ONLY
def test_an_answer_that_never_ends_is_cut(
    command: Callable[..., Answer],
    receiver: Receiver,
    database: Engine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("producer.webhook.MAX_EXCHANGE_S", 1.0)
    command("submit", str(write_source(tmp_path / "night.csv", "a")))
    command("cancel", "1")
    receiver.answers = [DRIPPING]
    answer = command("webhook")
    assert (answer.exit_code, "no answer" in answer.output) == (10, True)


@pytest.mark.parametrize(
    ("url", "secret", "said"),
    [
        ("ftp://host/x", SECRET, "Only http and https"),
        ("file:///etc/passwd", SECRET, "Only http and https"),
        ("http://host:port/", SECRET, "Only http and https"),
        ("https://user:hunter2@host/", SECRET, "has a user, a password"),
        ("https://host/", "short", "has 5 characters"),
    ],
)
def test_a_webhook_that_cannot_be_told_is_refused_at_once_and_not_shown(
    aftercall: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch, url: str, secret: str, said: str
) -> None:
    monkeypatch.setenv("AFTERCALL_WEBHOOK_URL", url)
    monkeypatch.setenv("AFTERCALL_WEBHOOK_SECRET", secret)
    answer = aftercall("status")
    assert (answer.exit_code, said in answer.errors) == (5, True)
    assert "hunter2" not in answer.errors


def test_the_command_says_what_is_missing(aftercall: Callable[..., Answer]) -> None:
    aftercall("submit", str(write_source(Path("night.csv"), "a")))
    answer = aftercall("webhook")
    assert (answer.exit_code, "AFTERCALL_WEBHOOK_URL is not set" in answer.errors) == (5, True)
    assert json.dumps(SECRET) not in answer.errors
