"""Settings: read once, frozen, and wrong ones are fatal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from aftercall.errors import SettingsError
from aftercall.settings import PREFIX, Settings, load_settings


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own variables are not the test's."""
    import os

    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)


def test_the_environment_is_read_and_the_command_line_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFTERCALL_CHUNK_SIZE", "32")
    monkeypatch.setenv("AFTERCALL_QUEUE", "nights")
    settings = load_settings(queue="days")
    assert (settings.chunk_size, settings.queue) == (32, "days")


def test_a_misspelt_setting_is_fatal_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFTERCALL_CHUNKSIZE", "32")
    with pytest.raises(SettingsError, match=r"unknown setting AFTERCALL_CHUNKSIZE\. Known are: .*AFTERCALL_CHUNK_SIZE"):
        load_settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CHUNK_SIZE", "many"),
        ("CHUNK_SIZE", "0"),
        ("QUANTIZATION", "nf8"),
        ("TOP_P", "1.5"),
        ("LEASE_S", "0.5"),
        ("MAX_ATTEMPTS", "-1"),
        ("DO_SAMPLE", "perhaps"),
    ],
)
def test_an_unusable_value_is_fatal_and_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(PREFIX + name, value)
    with pytest.raises(SettingsError, match=rf"unusable setting: {PREFIX}{name}='{value}': .*docs/operations.md"):
        load_settings()


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Settings().chunk_size = 7


@given(
    st.builds(
        dict,
        chunk_size=st.integers(1, 512),
        lease_s=st.floats(1, 1e6),
        do_sample=st.booleans(),
        queue=st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1),
        top_p=st.floats(0.01, 1),
        quantization=st.sampled_from(["auto", "nf4", "int8", "none"]),
    )
)
def test_another_process_reads_the_same_settings_from_the_environment(values: dict[str, object]) -> None:
    settings = Settings(**values)  # type: ignore[arg-type]
    with pytest.MonkeyPatch.context() as environment:
        for name, value in settings.to_environment().items():
            environment.setenv(name, value)
        assert load_settings() == settings


def test_without_a_url_the_ledger_is_a_file_in_the_data_folder() -> None:
    settings = Settings(data_dir="night")  # type: ignore[arg-type]
    assert settings.ledger_url == "sqlite:///night/aftercall.db"
    assert settings.uses_embedded_database
    assert not Settings(database_url="postgresql://host/name").uses_embedded_database
