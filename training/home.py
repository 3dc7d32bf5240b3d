"""What the training commands stand on: settings, database, the folder of adapters, and which adapter is meant."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from aftercall import schema
from aftercall.errors import DatabaseError
from aftercall.settings import Settings, load_settings
from training import registry
from worker.wanted import find_wanted


@dataclass(frozen=True, slots=True)
class Home:
    """What a command works with."""

    settings: Settings
    database: Engine


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
        folder = served_now(home, home.settings.base_model)
        return folder.resolve() if folder else None
    return (Path(name) if Path(name).is_dir() else registry.find(home.database, name).path).resolve()


def base_name(home: Home, base_model: str) -> str:
    """What the registry calls a base model that the settings, an option or a recipe name.

    A path says nothing about the model there; anything else is a name already, and its files need not be here.
    """
    from worker.base_model import find_base_model

    is_path = Path(base_model).expanduser().exists()
    return find_base_model(base_model, home.settings.data_dir).name if is_path else base_model


def served_now(home: Home, base_model: str) -> Path | None:
    """As `served_folder`, for a base model as the settings or a recipe name it."""
    return served_folder(home, base_name(home, base_model))


def served_folder(home: Home, base_model: str) -> Path | None:
    """The folder of the adapter that workers serve now for a base model, by its name: the active or the shipped one."""
    return find_wanted(home.database, base_model).folder


def register(home: Home, published: Path) -> registry.Entry:
    """Enter an adapter that took long to make as a candidate; DatabaseError says how to do it later."""
    try:
        return registry.register(home.database, published)
    except DBAPIError as error:
        said = str(error.orig).strip().splitlines()[0]
        raise DatabaseError(
            f"{published} is whole, but the database does not answer: {said}. Nothing has to be trained again: once it "
            f"answers, run `aftercall adapters register {shlex.quote(str(published))}`."
        ) from error
