"""What the training commands share: settings, the database, and finding an adapter by the name a user gives."""

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
    """The settings and the database of one command."""

    settings: Settings
    database: Engine

    @property
    def judgements(self) -> Judgements:
        """The judgements stored in this installation."""
        return Judgements(self.settings.judgements_dir)


@contextmanager
def open_context(*, may_create: bool = True) -> Iterator[TrainingContext]:
    """Load the settings and open the database at the right schema version.

    An embedded database that does not exist yet is created, unless `may_create` is false.
    """
    settings = load_settings()
    with schema.open_ledger(settings, may_create=may_create) as database:
        yield TrainingContext(settings, database)


def resolve(context: TrainingContext, name: str) -> Path | None:
    """The folder of an adapter named by a digest, a folder or `active`; None for `none`."""
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
    """The registry's name for a base model given by the settings, an option or a recipe.

    A path is resolved to the name of the model in it. Anything else is already a name; its files need not exist here.
    """
    if not Path(base_model).expanduser().exists():
        return base_model
    # Needs the worker's packages, which the producer's image does not have.
    from worker.loading.base_model import find_base_model

    return find_base_model(base_model, context.settings.data_dir).name


def find_served(context: TrainingContext, base_model: str) -> DesiredAdapter:
    """The adapter that workers serve now for a base model, as the settings or a recipe name it."""
    return find_desired(context.database, base_name(context, base_model))


def register(context: TrainingContext, published: Path) -> registry.Entry:
    """Register a freshly trained adapter as a candidate; DatabaseError tells how to register it later."""
    try:
        return registry.register(context.database, published)
    except DBAPIError as error:
        said = str(error.orig).strip().splitlines()[0]
        raise DatabaseError(
            f"{published} is complete, but the database does not answer: {said}. You don't need to train again: once "
            f"it answers, run `aftercall adapters register {shlex.quote(str(published))}`."
        ) from error
