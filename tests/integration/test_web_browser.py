"""The pages in a real browser: what its security policy lets through, its forms, and narrow windows."""

import pytest
from sqlalchemy import Engine

from aftercall.ledger import account
from tests.fixtures.browser import Browser
from tests.fixtures.web import SiteStarter
from tests.integration.test_ledger import submit
from tests.integration.test_web import complete, fail

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_an_operator_retries_and_cancels_in_a_browser(
    database: Engine, start_web: SiteStarter, browser: Browser
) -> None:
    submit(database, "a", "b", "c")
    fail(database, "empty_summary", 2)
    site = start_web()
    browser.open(f"{site.url}/failures")
    browser.click("td form button")
    assert "2 conversations are queued again" in browser.run("document.body.innerText")
    assert account.account(database, 1).waiting == 3

    browser.open(f"{site.url}/submissions/1")
    browser.click('a[href$="/cancel"]')
    browser.run("document.querySelector('button.danger').click()")
    assert browser.run("document.querySelector('form.card').checkValidity()") is False
    browser.run("document.querySelector('[name=is_sure]').click()")
    browser.click("button.danger")
    assert "3 conversations cancelled" in browser.run("document.body.innerText")
    assert account.account(database, 1).cancelled == 3
    assert browser.errors == []


@pytest.mark.parametrize("width", [1280, 400])
def test_pages_are_styled_and_never_wider_than_the_window(
    width: int, database: Engine, start_web: SiteStarter, browser: Browser
) -> None:
    submit(database, "a" * 200, "b")
    fail(database, "empty_summary", 1)
    complete(database, "word" * 100)
    site = start_web()
    browser.show_as(width)
    paths = ["/", "/submissions/1", "/failures", "/workers", "/adapters", "/search?q=b", "/submissions/1/report"]
    paths += site.get("/submissions/1").links("conversation")
    for path in paths:
        browser.open(f"{site.url}{path}")
        assert browser.run("getComputedStyle(document.body).fontFamily").startswith("system-ui"), path
        assert browser.run("document.documentElement.scrollWidth") <= width, path
    assert browser.errors == []
