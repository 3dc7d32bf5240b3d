"""What a worker makes of its settings before it takes work."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert

from aftercall import schema
from aftercall.database import connect
from aftercall.errors import SettingsError
from aftercall.models import Adapter
from aftercall.settings import Settings
from worker.serving.start import choose_adapter, load_served


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Engine]:
    engine = connect(f"sqlite:///{tmp_path / 'aftercall.db'}")
    schema.upgrade(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def settings(tiny_model_dir: Path, tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, base_model=str(tiny_model_dir))


def test_completions_that_leave_no_room_for_a_conversation_end_the_start(settings: Settings, database: Engine) -> None:
    """Every conversation of the night would fail for good, each by itself."""
    greedy = settings.model_copy(update={"max_new_tokens": 4096})
    with pytest.raises(SettingsError, match=r"AFTERCALL_MAX_NEW_TOKENS=4096 leaves no room .* set a smaller one"):
        load_served(greedy, database, "cpu")


def test_an_adapter_of_the_same_model_under_another_name_is_spoken_of(
    settings: Settings, database: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    assert choose_adapter(settings, database) is None
    assert not caplog.text
    row = {"digest": "0123456789abcdef", "base_model": "someone/tiny-llama", "state": "active", "manifest": "{}"}
    with database.begin() as connection:
        connection.execute(insert(Adapter).values(row | {"path": "/elsewhere", "created_at": 0.0}))
    assert choose_adapter(settings, database) is None
    assert "no adapter is active for tiny-llama, but one is for someone/tiny-llama" in caplog.text


def test_a_short_context_is_spoken_of(settings: Settings, database: Engine, caplog: pytest.LogCaptureFixture) -> None:
    """The tiny model reads 256 bytes, and the instruction takes most of them."""
    served = load_served(settings.model_copy(update={"max_new_tokens": 4}), database, "cpu")
    served.engine.close()
    assert "tiny-llama reads " in caplog.text
    assert "Longer conversations are cut" in caplog.text
