"""Replaces the adapter of a model that an engine runs.

`LiveAdapter.stage` reads and checks an adapter in the background; `LiveAdapter.apply` writes it into the model, and
must be called while the engine is idle.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from aftercall.errors import AdapterError
from aftercall.prompt import PROMPT_VERSION
from worker.adapters.contents import check_contents
from worker.adapters.layer_weights import AttachedLayers, MergedLayers, WeightSwap
from worker.adapters.lora import NotSwappableError, read_pairs
from worker.adapters.manifest import AdapterManifest, check_adapter
from worker.loading.load import LoadedModel, ModelProvenance


@dataclass(frozen=True, slots=True)
class StagedAdapter:
    """An adapter that is complete and fits the model, ready to be applied."""

    swap_weights: WeightSwap
    provenance: ModelProvenance


class LiveAdapter:
    """The adapter of one loaded model."""

    def __init__(self, loaded: LoadedModel) -> None:
        self._device = loaded.device
        self._provenance = loaded.provenance
        self._choose_quantization = loaded.choose_quantization
        self._layers = (
            AttachedLayers(loaded.model) if loaded.originals is None else MergedLayers(loaded.model, loaded.originals)
        )

    def stage(self, folder: Path | None, digest: str) -> StagedAdapter:
        """Read and check the adapter in `folder`, which must have this digest; None: the base model alone.

        Does nothing on the device, where the engine may be capturing a graph. Raises AdapterError if the adapter is
        incomplete or made for another model, NotSwappableError if only a fresh process can load it.
        """
        manifest = self._check(folder, digest) if folder else None
        pairs = read_pairs(folder) if folder else {}
        self._check_weights(manifest.quantization if manifest else None)
        is_merged = bool(pairs) and isinstance(self._layers, MergedLayers)
        provenance = replace(self._provenance, adapter_digest=digest, adapter_path=folder, is_adapter_merged=is_merged)
        with torch.no_grad():
            return StagedAdapter(self._layers.stage(pairs), provenance)

    def apply(self, staged: StagedAdapter) -> ModelProvenance:
        """Write the adapter into the model and return what is in memory now. The engine must be idle."""
        with torch.no_grad():
            staged.swap_weights()
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        self._provenance = staged.provenance
        return self._provenance

    def _check(self, folder: Path, digest: str) -> AdapterManifest:
        current = self._provenance
        manifest = check_adapter(folder, current.base_model, PROMPT_VERSION, base_digest=current.base_digest)
        if manifest.digest != digest:
            raise AdapterError(
                f"{folder} holds adapter {manifest.digest}, but the registry expects {digest} there. Put that one "
                "there, or register and promote the one that is there."
            )
        check_contents(folder)
        return manifest

    def _check_weights(self, trained_on: str | None) -> None:
        """A fresh start with this adapter must quantize the base model as it is now, or the answers would differ."""
        wanted, held = self._choose_quantization(trained_on), self._provenance.rounded_to
        if wanted != held:
            raise NotSwappableError(f"it needs weights of quantization {wanted}, and those here are {held}")
