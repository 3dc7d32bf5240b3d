"""Adapters that a worker serves in addition to the one in its weights, loaded when a conversation asks for one.

What an adapter adds is computed relative to the weights as they are: its own matrices, less those of the adapter that
is merged or attached there. So the served adapter's conversations run as fast as without others.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from aftercall.errors import AdapterError, AftercallError
from worker.adapters.contents import check_contents
from worker.adapters.lora import LoraPair, NotSwappableError, read_pairs
from worker.adapters.manifest import check_adapter
from worker.engine.base import Engine
from worker.engine.deltas import Delta
from worker.serving.held import Held

if TYPE_CHECKING:
    from worker.loading.load import LoadedModel, ModelProvenance

logger = logging.getLogger(__name__)

#: The base model alone, as an adapter's name in the engine and in `AdapterPool`.
BASE_ALONE = "none"

#: A refused adapter may still be on its way to this machine, but hashing it for every chunk would be a waste.
RETRY_S = 30.0

#: The folder of a digest's adapter; None: it is neither registered nor shipped.
FindFolder = Callable[[str], Path | None]


class AdapterPool:
    """At most `max_adapters` at a time; the one that was unused for longest makes room."""

    def __init__(self, loaded: "LoadedModel", engine: Engine, find_folder: FindFolder, max_adapters: int) -> None:
        self._engine = engine
        self._profile = loaded.profile
        self._choose_quantization = loaded.choose_quantization
        self._find_folder = find_folder
        self.max_adapters = max_adapters
        self._changed = threading.Condition()
        #: How many calls use each loaded adapter, in the order of their last use.
        self._num_users: dict[str, int] = {}
        self._is_loading = False
        #: Why an adapter was refused, and when it is tried again.
        self._refused: dict[str, tuple[str, float]] = {}

    @contextmanager
    def holding(self, digests: Collection[str], served: "ModelProvenance") -> Iterator[Held]:
        """Hold these adapters loaded while the block runs; an empty digest is the base model alone.

        Waits for other calls to end if there is no room. At most `max_adapters` in addition to the served one.
        """
        names = {digest: digest or BASE_ALONE for digest in digests if digest != served.adapter_digest}
        if len(names) > self.max_adapters:
            raise ValueError(f"{len(names)} adapters were asked for at once, and {self.max_adapters} fit")
        refused = self._acquire(sorted(names.values()), served)
        loaded = {digest: name for digest, name in names.items() if name not in refused}
        try:
            yield Held(
                {served.adapter_digest: ""} | loaded,
                {digest: refused[name] for digest, name in names.items() if name in refused},
            )
        finally:
            self._release(loaded.values())

    def clear(self) -> None:
        """Drop all: the weights are about to change. No call may be running."""
        with self._changed:
            for name in self._num_users:
                self._engine.drop_adapter(name)
            self._num_users.clear()
            self._refused.clear()

    def _acquire(self, names: Sequence[str], served: "ModelProvenance") -> dict[str, str]:
        """Load what is missing, and count each as used once more; returns why others can't be loaded."""
        if not names:
            return {}
        with self._changed:
            self._changed.wait_for(lambda: not self._is_loading and self._has_room(names))
            self._is_loading = True
        refused: dict[str, str] = {}
        loaded: list[str] = []
        try:
            for name in names:
                if self._make_ready(name, served, keep=names):
                    loaded.append(name)
                else:
                    refused[name], _ = self._refused[name]
        finally:
            with self._changed:
                for name in loaded:
                    # Put at the end: it was used last.
                    self._num_users[name] = self._num_users.pop(name) + 1
                self._is_loading = False
                self._changed.notify_all()
        return refused

    def _has_room(self, names: Sequence[str]) -> bool:
        in_use = {name for name, num_users in self._num_users.items() if num_users}
        return len(in_use.union(names)) <= self.max_adapters

    def _make_ready(self, name: str, served: "ModelProvenance", keep: Sequence[str]) -> bool:
        """Have one adapter in the engine; False if it is refused. Called by one thread at a time."""
        if name in self._num_users:
            return True
        if name in self._refused and time.monotonic() < self._refused[name][1]:
            return False
        try:
            deltas = self._stage(name, served)
            while len(self._num_users) >= self.max_adapters:
                idle = next(each for each, num in self._num_users.items() if not num and each not in keep)
                self._engine.drop_adapter(idle)
                del self._num_users[idle]
            self._engine.load_adapter(name, deltas)
        except (AftercallError, NotSwappableError, OSError) as error:
            if name not in self._refused:
                logger.error("adapter %s can't be served here: %s", name, error)
            self._refused[name] = (str(error), time.monotonic() + RETRY_S)
            return False
        logger.info("adapter %s is loaded in addition to %s", name, served.adapter_digest or BASE_ALONE)
        self._refused.pop(name, None)
        self._num_users[name] = 0
        return True

    def _release(self, names: Collection[str]) -> None:
        with self._changed:
            for name in names:
                self._num_users[name] -= 1
            self._changed.notify_all()

    def _stage(self, name: str, served: "ModelProvenance") -> dict[str, Delta]:
        """What the adapter adds to the weights as they are. Raises AdapterError or NotSwappableError."""
        wanted = {} if name == BASE_ALONE else self._read(name, served)
        present = read_pairs(served.adapter_path) if served.adapter_path is not None else {}
        return {layer: _subtract(wanted.get(layer), present.get(layer)) for layer in wanted.keys() | present.keys()}

    def _read(self, digest: str, served: "ModelProvenance") -> Mapping[str, LoraPair]:
        folder = self._find_folder(digest)
        if folder is None:
            raise AdapterError(f"no adapter {digest} is registered")
        manifest = check_adapter(folder, served.base_model, self._profile.id, base_digest=served.base_digest)
        if manifest.digest != digest:
            raise AdapterError(f"{folder} holds adapter {manifest.digest}, but the registry expects {digest} there")
        check_contents(folder)
        rounded = self._choose_quantization(manifest.quantization)
        if rounded != served.rounded_to:
            raise AdapterError(f"it needs weights of quantization {rounded}, and those here are {served.rounded_to}")
        return read_pairs(folder)


def _subtract(wanted: LoraPair | None, present: LoraPair | None) -> Delta:
    """The delta that turns a layer with the one adapter into a layer with the other."""
    signed = [(pair, sign) for pair, sign in ((wanted, 1.0), (present, -1.0)) if pair is not None]
    down = torch.cat([pair.down.float() for pair, _ in signed])
    up = torch.cat([pair.up.float() * (sign * pair.scaling) for pair, sign in signed], dim=1)
    return Delta(down.t(), up.t())
