"""Exchanges the adapter of a model that an engine runs: first read and checked beside it, then written into it.

Knows a model and adapters' folders; knows no engine, no registry and no thread.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from aftercall.errors import AdapterError
from aftercall.profile import TWEETSUMM
from worker.adapters.layer_weights import AttachedLayers, Exchange, MergedLayers
from worker.adapters.lora import NotExchangeableError, read_pairs
from worker.adapters.manifest import AdapterManifest, check_adapter
from worker.loading.load import LoadedModel, ModelProvenance


@dataclass(frozen=True, slots=True)
class Prepared:
    """An adapter that is whole and fits, ready to be exchanged."""

    exchange: Exchange
    provenance: ModelProvenance


class LiveAdapter:
    """The adapter of one loaded model."""

    def __init__(self, loaded: LoadedModel) -> None:
        self._device = loaded.device
        self._provenance = loaded.provenance
        self._profile = loaded.profile
        self._choose_quantization = loaded.choose_quantization
        self._layers = (
            AttachedLayers(loaded.model) if loaded.originals is None else MergedLayers(loaded.model, loaded.originals)
        )

    def prepare(self, folder: Path | None, digest: str) -> Prepared:
        """Read and check the adapter in `folder`, whose digest has to be this one; None: the base model alone.

        Leaves the device alone, whose engine may be capturing a graph at this moment. Raises AdapterError if the
        adapter is not whole or not for this model, NotExchangeableError if it takes a fresh process.
        """
        manifest = self._check(folder, digest) if folder else None
        pairs = read_pairs(folder) if folder else {}
        self._check_profile(manifest.prompt_version if manifest else TWEETSUMM.id)
        self._check_weights(manifest.quantization if manifest else None)
        is_merged = bool(pairs) and isinstance(self._layers, MergedLayers)
        provenance = replace(self._provenance, adapter_digest=digest, adapter_path=folder, is_adapter_merged=is_merged)
        with torch.no_grad():
            return Prepared(self._layers.stage(pairs), provenance)

    def exchange(self, prepared: Prepared) -> ModelProvenance:
        """Write it into the model, whose engine has nothing to do meanwhile; returns what is in memory now."""
        with torch.no_grad():
            prepared.exchange()
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        self._provenance = prepared.provenance
        return self._provenance

    def _check(self, folder: Path, digest: str) -> AdapterManifest:
        current = self._provenance
        manifest = check_adapter(folder, current.base_model, None, base_digest=current.base_digest)
        if manifest.digest != digest:
            raise AdapterError(
                f"{folder} holds adapter {manifest.digest}, where the registry has {digest}. Put that one there, or "
                "register and promote the one that is there."
            )
        return manifest

    def _check_profile(self, trained_for: str) -> None:
        """Another profile has another stop string and limit, which the engine was built with."""
        if trained_for != self._profile.id:
            raise NotExchangeableError(f"it was trained for profile {trained_for}, and {self._profile.id} is served")

    def _check_weights(self, trained_on: str | None) -> None:
        """A worker that went on with other weights would answer unlike one that starts with this adapter."""
        wanted, held = self._choose_quantization(trained_on), self._provenance.rounded_to
        if wanted != held:
            raise NotExchangeableError(f"it goes with weights of quantization {wanted}, and those here are {held}")
