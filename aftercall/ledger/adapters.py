"""Which adapter is active for a base model, and which wrote summaries. Only reads; `training` has the registry."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, select

from adapters import list_shipped
from aftercall.database import reading
from aftercall.errors import AdapterError
from aftercall.ledger import workers
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


def find_folder(engine: Engine, digest: str) -> Path | None:
    """The folder of a registered or shipped adapter; None if there is none of this digest."""
    with reading(engine) as connection:
        path = connection.scalar(select(Adapter.path).where(Adapter.digest == digest))
    return Path(path) if path else next((folder for folder in list_shipped() if folder.name == digest), None)


def find_asked(engine: Engine, name: str) -> str:
    """The digest of the adapter, registered or shipped, that a user asks for; empty for `none`, the base model alone.

    Raises AdapterError unless exactly one begins with `name`, or if it is for another base model than workers serve.
    """
    if name == "none":
        return ""
    query = select(Adapter.digest, Adapter.base_model).where(Adapter.digest.startswith(name, autoescape=True))
    with reading(engine) as connection:
        bases = dict(connection.execute(query).all())
    digests = {*bases, *(folder.name for folder in list_shipped() if folder.name.startswith(name))}
    if len(digests) != 1:
        found = f"{len(digests)} adapters start with" if digests else "no adapter is registered under"
        raise AdapterError(f"{found} {name!r}; `aftercall adapters list` shows all, and `none` is the base model alone")
    [digest] = digests
    served = {each.worker.base_model for each in workers.alive(engine) if each.worker.adapter_digest is not None}
    if digest in bases and served and bases[digest] not in served:
        raise AdapterError(
            f"adapter {digest} is for {bases[digest]}, and the workers serve {', '.join(sorted(served))}. Start a "
            "worker of its base model, or name an adapter for theirs."
        )
    return digest


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
