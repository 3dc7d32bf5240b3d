"""Secrets from files that AFTERCALL_*_FILE variables name."""

from pathlib import Path

import pytest

from aftercall.errors import SettingsError
from aftercall.secret_files import MAX_BYTES, SECRET_FILES
from aftercall.settings import Settings, load_settings

KEY = "0123456789abcdef0123456789abcdef"
SECRET = {
    "database_url": "postgresql://aftercall:s3cret@db/aftercall",
    "redis_url": "redis://:s3cret@redis:6379/0",
    "message_key": KEY,
    "web_password": "correct horse battery",
    "webhook_url": "https://hooks.example/night",
    "webhook_secret": KEY,
}


@pytest.mark.parametrize("variable", SECRET_FILES)
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_secret_is_read_from_its_file(
    variable: str, end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting = SECRET_FILES[variable]
    # A webhook's URL needs it.
    monkeypatch.setenv("AFTERCALL_WEBHOOK_SECRET", KEY)
    (tmp_path / "secret").write_bytes((SECRET[setting] + end).encode())
    monkeypatch.setenv(variable, str(tmp_path / "secret"))
    settings = load_settings()
    assert getattr(settings, setting) == SECRET[setting]

    # As a command passes its settings on to a worker that it starts.
    for name, value in settings.to_environment().items():
        monkeypatch.setenv(name, value)
    assert load_settings() == settings


def test_every_file_is_of_a_setting() -> None:
    assert set(SECRET_FILES.values()) <= set(Settings.model_fields)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file"),
        (b"", "has no text; expected one line"),
        (b"\n", "has no text; expected one line"),
        (b"redis://a\nredis://b\n", "has several lines; expected one line"),
        (b"\xff\xfe", "it is not UTF-8 text"),
        (b"x" * (MAX_BYTES + 1), "expected a secret in one line"),
    ],
)
def test_a_file_that_holds_no_secret_is_fatal(
    content: bytes | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if content is not None:
        (tmp_path / "secret").write_bytes(content)
    monkeypatch.setenv("AFTERCALL_REDIS_URL_FILE", str(tmp_path / "secret"))
    with pytest.raises(SettingsError, match=f"AFTERCALL_REDIS_URL_FILE=.*{said}"):
        load_settings()


def test_two_different_values_are_fatal_and_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text(SECRET["redis_url"])
    monkeypatch.setenv("AFTERCALL_REDIS_URL_FILE", str(tmp_path / "secret"))
    monkeypatch.setenv("AFTERCALL_REDIS_URL", "redis://:other@redis:6379/0")
    with pytest.raises(SettingsError, match="set, to different values") as refused:
        load_settings()
    assert "s3cret" not in str(refused.value)
    assert "other" not in str(refused.value)


def test_a_short_message_key_is_fatal_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFTERCALL_MESSAGE_KEY", "hunter2")
    with pytest.raises(SettingsError, match="has 7 characters; expected at least 32") as refused:
        load_settings()
    assert "hunter2" not in str(refused.value)
