"""Settings: read once, frozen, and wrong ones are fatal."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from aftercall.database import connect
from aftercall.errors import SettingsError
from aftercall.settings import PREFIX, Settings, load_settings


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own variables are not the test's."""
    import os

    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFTERCALL_CHUNK_SIZE", "32")
    monkeypatch.setenv("AFTERCALL_QUEUE", "nights")
    settings = load_settings()
    assert (settings.chunk_size, settings.queue) == (32, "nights")


def test_a_misspelt_setting_is_fatal_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFTERCALL_CHUNKSIZE", "32")
    with pytest.raises(SettingsError, match=r"setting AFTERCALL_CHUNKSIZE\. Did you mean AFTERCALL_CHUNK_SIZE\? Unset"):
        load_settings()


def test_where_no_setting_is_near_a_name_all_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFTERCALL_XYZ", "1")
    with pytest.raises(SettingsError, match=r"setting AFTERCALL_XYZ\. Known are: AFTERCALL_ADAPTER, .*_THREADS\."):
        load_settings()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("CHUNK_SIZE", "many", "is not a whole number"),
        ("CHUNK_SIZE", "0", "is less than 1"),
        ("QUANTIZATION", "nf8", "is not 'auto', 'nf4', 'fp8', 'int8' or 'none'"),
        ("TOP_P", "1.5", "is more than 1.0"),
        ("TOP_P", "half", "is not a number"),
        ("TEMPERATURE", "0", "is not above 0.0"),
        ("DO_SAMPLE", "perhaps", "is neither true nor false"),
    ],
)
def test_an_unusable_value_is_fatal_and_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(PREFIX + name, value)
    with pytest.raises(SettingsError) as raised:
        load_settings()
    assert str(raised.value) == (
        f"unusable setting: {PREFIX}{name}='{value}' {said}. docs/operations.md has the table."
    )


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


@pytest.mark.parametrize("name", ["q?x", "50%25", "a#b", "user:word@host", "zwei Wörter"])
def test_the_ledger_lies_in_the_data_folder_whatever_that_is_called(tmp_path: Path, name: str) -> None:
    database = connect(Settings(data_dir=tmp_path / name).ledger_url)
    with database.begin():
        pass
    database.dispose()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name / "aftercall.db").is_file()
