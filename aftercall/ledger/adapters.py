"""Which adapter is active for a base model, and which wrote summaries. Only reads; `training` has the registry."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, select

from aftercall.database import reading
from aftercall.errors import AdapterError
from aftercall.models import Adapter, Summary


@dataclass(frozen=True, slots=True)
class ActiveAdapter:
    """The adapter that workers are to serve for a base model."""

    digest: str
    folder: Path


def active(engine: Engine, base_model: str) -> ActiveAdapter | None:
    """The active adapter of a base model; None if the shipped one is served. One small query."""
    query = select(Adapter.digest, Adapter.path).where(Adapter.base_model == base_model, Adapter.state == "active")
    with reading(engine) as connection:
        row = connection.execute(query).one_or_none()
    return ActiveAdapter(row.digest, Path(row.path)) if row else None


def find_namesake(engine: Engine, base_model: str) -> str | None:
    """Another base model with an active adapter and the same name except for its owner, such as a copied folder."""
    with reading(engine) as connection:
        names = connection.execute(select(Adapter.base_model).where(Adapter.state == "active")).scalars()
        return next((name for name in names if _bare(name) == _bare(base_model) and name != base_model), None)


def find_writer(engine: Engine, digest: str) -> str:
    """The one adapter with summaries whose digest begins with `digest`. Empty is the base model alone.

    Raises AdapterError if there is none, or more than one.
    """
    query = select(Summary.adapter_digest).where(Summary.adapter_digest.startswith(digest, autoescape=True)).distinct()
    with reading(engine) as connection:
        found = connection.execute(query).scalars().all()
    if not digest or digest in found:
        return digest
    if not found:
        raise AdapterError(f"no summary here was written by an adapter {digest!r}; `aftercall adapters list` shows all")
    if len(found) > 1:
        raise AdapterError(f"summaries of {len(found)} adapters are here that begin with {digest!r}; give more digits")
    return found[0]


def folders(engine: Engine) -> list[Path]:
    """The folders of all registered adapters, whether they still exist or not."""
    with reading(engine) as connection:
        return [Path(path) for path in connection.execute(select(Adapter.path).order_by(Adapter.digest)).scalars()]


def _bare(base_model: str) -> str:
    return base_model.rpartition("/")[2]
