"""No part of a password is shown, whatever characters it has; nothing of a text from outside drives a terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aftercall import schema
from aftercall.database import connect, show_url
from aftercall.errors import DatabaseError
from aftercall.masking import mask_password, printable

PASSWORDS = ["pa/ss", "pa?ss", "pa#ss", "12#34", "12/34@56", "p@ss", "a@b/c?d#e", "pa:ss", "pa%2Fss"]


@pytest.mark.parametrize("password", PASSWORDS)
def test_no_part_of_a_postgresql_password_is_shown(password: str) -> None:
    with pytest.raises(DatabaseError) as raised:
        engine = connect(f"postgresql://ada:{password}@127.0.0.1:1/ledger?connect_timeout=2")
        assert "***" in show_url(engine.url)
        schema.check(engine)
    shown = str(raised.value)
    assert "://ada:***@127.0.0.1:1/ledger" in shown
    for part in (password, f"{password[-2:]}@", f":{password[:2]}"):
        assert part not in shown


@given(st.text(min_size=8).filter(lambda password: "***" not in password and "ada" not in password))
def test_a_masked_url_has_no_password_in_it(password: str) -> None:
    assert mask_password(f"redis://ada:{password}@host:6379/0") == "redis://ada:***@host:6379/0"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
        ("redis://host/0?password=secret&x=1", "redis://host/0?password=***&x=1"),
        ("postgresql://ada@host/db?PASSWORD=secret", "postgresql://ada@host/db?PASSWORD=***"),
        ("postgresql://ada@host/db?sslpassword=secret", "postgresql://ada@host/db?sslpassword=***"),
        ("ada:secret@host/ledger", "(unreadable)"),
    ],
)
def test_what_is_shown_of_a_url(url: str, shown: str) -> None:
    assert mask_password(url) == shown


@given(st.text())
def test_what_is_printed_cannot_drive_a_terminal(text: str) -> None:
    shown = printable(text)
    assert not any(character in shown for character in "\x00\x07\x1b\x7f\x9b\n\r\u202e\u200b\u2028\U000e0041")
    assert printable(shown) == shown


def test_words_stay_as_they_are() -> None:
    assert printable("Größe 🙏 日本語.csv") == "Größe 🙏 日本語.csv"
