"""Who gets in to `aftercall web`, and who does not."""

import base64
import re
import signal
import subprocess
import sys

import pytest
from sqlalchemy import Engine

from aftercall.ledger import account
from aftercall.settings import Settings
from tests.fixtures.web import Site, SiteStarter
from tests.fixtures.workers import TIMEOUT_S
from tests.integration.test_ledger import submit

PASSWORD = "correct horse battery"

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def basic(password: str, user: str = "ann") -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


@pytest.fixture
def site(start_web: SiteStarter) -> Site:
    return start_web()


def test_every_answer_has_the_headers_of_a_guarded_page(database: Engine, site: Site) -> None:
    submit(database, "a")
    for path in ("/", "/submissions/1", "/submissions/1/report", "/nothing", "/static/style.css", "/metrics"):
        headers = site.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "script-src" not in policy
        assert ("'unsafe-inline'" in policy) == path.endswith("report")
        assert headers["x-frame-options"] == "DENY"
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert "server" not in headers


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "169.254.169.254", "", "127.0.0.1.evil.example", "["]
)
def test_another_host_name_is_refused(host: str, site: Site) -> None:
    assert site.get("/metrics", Host=host).status == 421


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:9", "[::1]:8765", "LOCALHOST"])
def test_our_own_names_are_served(host: str, site: Site) -> None:
    assert site.get("/", Host=host).status == 200


def test_a_name_that_was_given_is_served(start_web: SiteStarter) -> None:
    site = start_web("--name", "Ops.example")
    assert site.get("/", Host="ops.example:8765").status == 200
    assert site.get("/", Host="other.example").status == 421


def test_a_form_without_its_token_changes_nothing(database: Engine, site: Site) -> None:
    submit(database, "a")
    page = "/submissions/1/cancel"
    token = site.get(page).token
    cookies = dict(site.cookies)
    for sent, headers in (
        ("is_sure=yes", {}),
        ("is_sure=yes&token=", {}),
        (f"is_sure=yes&token={'0' * 64}", {}),
        ("is_sure=yes&token=%F0%9F%98%80", {}),
        (f"is_sure=yes&token={token}", {"Origin": "http://evil.example"}),
        (f"is_sure=yes&token={token}", {"Origin": "null"}),
        (f"is_sure=yes&token={token}", {"Sec-Fetch-Site": "cross-site"}),
    ):
        assert site.send("POST", page, headers, sent).status == 403
    site.cookies.clear()
    assert site.send("POST", page, {}, f"is_sure=yes&token={token}").status == 403
    assert account.account(database, 1).waiting == 1
    site.cookies = cookies
    assert site.send("POST", page, {"Origin": site.url}, f"is_sure=yes&token={token}").status == 200
    assert account.account(database, 1).cancelled == 1


def test_a_form_that_is_too_large_is_refused_and_other_methods_too(site: Site) -> None:
    assert site.send("POST", "/failures/retry", {}, "x" * 100_001).status == 413
    for method in ("PUT", "DELETE", "OPTIONS"):
        assert site.send(method, "/", {}).status == 405


def test_a_cookie_is_for_the_server_alone(site: Site) -> None:
    cookie = site.get("/").headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie


def test_with_a_password_nothing_is_served_without_it(start_web: SiteStarter, settings: Settings) -> None:
    site = start_web(settings=settings.model_copy(update={"web_password": PASSWORD}))
    for path in ("/", "/metrics", "/static/style.css", "/nothing"):
        answer = site.get(path)
        assert answer.status == 401
        assert re.match("Basic realm=", answer.headers["www-authenticate"])
        for wrong in (basic("wrong"), basic(""), f"Bearer {PASSWORD}", "Basic ~~~", "Basic", "Basic \xe9"):
            assert site.get(path, Authorization=wrong).status == 401 or path != "/"
    assert site.get("/", Authorization=basic(PASSWORD)).status == 200
    assert site.get("/metrics", Authorization=basic(PASSWORD, "prometheus")).status == 200


def test_an_address_that_others_reach_needs_a_password(settings: Settings, database: Engine) -> None:
    for password, complaint in (("", "none is set"), ("short", "one of 5 characters is set")):
        changed = settings.model_copy(update={"web_password": password})
        ended = subprocess.run(
            [sys.executable, "-m", "aftercall", "web", "--host", "::", "--port", "0"],
            env={"PATH": "", "PYTHONPATH": ":".join(sys.path), **changed.to_environment()},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert ended.returncode == 5
        assert complaint in ended.stderr
        assert "Traceback" not in ended.stderr


def test_a_taken_port_is_a_sentence(site: Site, settings: Settings) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "aftercall", "web", "--port", str(site.port)],
        env={"PATH": "", "PYTHONPATH": ":".join(sys.path), **settings.to_environment()},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert ended.returncode == 1
    assert f"cannot listen on 127.0.0.1 port {site.port}: Address already in use" in ended.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly_when_it_is_stopped(number: signal.Signals, site: Site) -> None:
    site.get("/")
    site.process.send_signal(number)
    assert site.process.wait(TIMEOUT_S) == 0
