"""What the training commands stand on: settings, database, the folder of adapters, and which adapter is meant."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from adapters import find_shipped
from aftercall import schema
from aftercall.settings import Settings, load_settings
from training import registry


@dataclass(frozen=True, slots=True)
class Home:
    """What a command works with."""

    settings: Settings
    database: Engine

    @property
    def adapters_dir(self) -> Path:
        """Where published adapters lie."""
        return self.settings.data_dir / "adapters"


@contextmanager
def open_home() -> Iterator[Home]:
    """Settings read, database reached and of the right schema."""
    settings = load_settings()
    with schema.open_ledger(settings) as database:
        yield Home(settings, database)


def resolve(home: Home, name: str) -> Path | None:
    """The folder of an adapter by digest, folder or the words `active` and `none`."""
    if name == "none":
        return None
    if name == "active":
        return served_now(home, home.settings.base_model)
    return Path(name) if Path(name).is_dir() else registry.find(home.database, name).path


def served_now(home: Home, base_model: str) -> Path | None:
    """As `served_folder`, for a base model as the settings or a recipe name it."""
    from worker.base_model import find_base_model

    return served_folder(home, find_base_model(base_model, home.settings.data_dir).name)


def served_folder(home: Home, base_model: str) -> Path | None:
    """The folder of the adapter that workers serve now for a base model, by its name: the active or the shipped one."""
    entry = registry.active(home.database, base_model)
    return entry.path if entry else find_shipped(base_model)
