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
from training.judge.store import Judgements
from training.registry import registry, shipped
from worker.serving.desired import DesiredAdapter, find_desired


@dataclass(frozen=True, slots=True)
class TrainingContext:
    """What a command works with."""

    settings: Settings
    database: Engine

    @property
    def judgements(self) -> Judgements:
        """What was judged here."""
        return Judgements(self.settings.judgements_dir)


@contextmanager
def open_context(*, may_create: bool = True) -> Iterator[TrainingContext]:
    """Settings read, database reached and of the right schema; made if it is the embedded one and is to be."""
    settings = load_settings()
    with schema.open_ledger(settings, may_create=may_create) as database:
        yield TrainingContext(settings, database)


def resolve(context: TrainingContext, name: str) -> Path | None:
    """The folder of an adapter by digest, folder or the words `active` and `none`."""
    if name == "none":
        return None
    if name == "active":
        return _existing(find_served(context, context.settings.base_model))
    if Path(name).is_dir():
        return Path(name).resolve()
    entry = shipped.find(context.database, name)
    return _existing(DesiredAdapter(entry.path, entry.digest))


def _existing(adapter: DesiredAdapter) -> Path | None:
    if adapter.folder is None:
        return None
    registry.require_folder(adapter.folder, adapter.digest)
    return adapter.folder.resolve()


def base_name(context: TrainingContext, base_model: str) -> str:
    """What the registry calls a base model that the settings, an option or a recipe name.

    A path says nothing about the model there; anything else is a name already, and its files need not be here.
    """
    if not Path(base_model).expanduser().exists():
        return base_model
    # Wants the worker's packages, which the producer's image has not.
    from worker.loading.base_model import find_base_model

    return find_base_model(base_model, context.settings.data_dir).name


def find_served(context: TrainingContext, base_model: str) -> DesiredAdapter:
    """What workers serve now for a base model as the settings or a recipe name it."""
    return find_desired(context.database, base_name(context, base_model))


def register(context: TrainingContext, published: Path) -> registry.Entry:
    """Enter an adapter that took long to make as a candidate; DatabaseError says how to do it later."""
    try:
        return registry.register(context.database, published)
    except DBAPIError as error:
        said = str(error.orig).strip().splitlines()[0]
        raise DatabaseError(
            f"{published} is whole, but the database does not answer: {said}. Nothing has to be trained again: once it "
            f"answers, run `aftercall adapters register {shlex.quote(str(published))}`."
        ) from error
