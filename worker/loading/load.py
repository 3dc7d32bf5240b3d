"""Loads a base model and its adapter onto a device, and records what was loaded."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import torch
from safetensors import SafetensorError

from aftercall.errors import ModelError
from aftercall.profile import TWEETSUMM, Profile
from worker.adapters.contents import check_contents
from worker.adapters.layer_weights import copy_originals
from worker.adapters.manifest import AdapterManifest, check_adapter, choose_profile
from worker.adapters.merge import attach_adapter, merge_adapter
from worker.engine.layers.compile import keep_compiled
from worker.engine.memory.kv_cache import free_bytes
from worker.loading.base_model import BaseModel, count_weights, find_base_model
from worker.loading.dequantize import dequantize_where_it_fits, fits
from worker.loading.eos_tokens import find_end, find_ends
from worker.loading.precision import (
    ComputeDtype,
    Device,
    Quantization,
    check_quantization,
    choose_device,
    choose_dtype,
    choose_quantization,
    quantization_config,
)
from worker.loading.quiet import quiet_loading

logger = logging.getLogger(__name__)

#: Rounded to NF4, then stored in the compute dtype.
DEQUANTIZED: Final = "nf4, dequantized"
Stored = Quantization | Literal["nf4, dequantized"]


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """What to load, and how."""

    #: A Hugging Face id, a local folder, a .gguf file, or `aftercall.settings.PACKAGED_MODEL`.
    base_model: str
    quantization: Quantization
    compute_dtype: ComputeDtype
    adapter_path: Path | None
    device: Device
    #: Converted models go to its folder `models`, compiled kernels to `compiled`.
    cache_dir: Path
    #: Dequantize NF4 weights if memory allows; they then decode as fast as unquantized ones. Training must not do this.
    may_dequantize: bool = False
    #: Keep the unmerged weights on the host, so that the adapter can be swapped later.
    is_swappable: bool = False
    #: How the model is asked, as `AFTERCALL_PROFILE` says it.
    profile: str = "auto"
    #: Tokens of one prompt with its completion.
    max_model_len: int = 2048


@dataclass(frozen=True, slots=True)
class ModelProvenance:
    """What is in memory; stored in the row of each summary."""

    base_model: str
    base_digest: str
    #: As stored in memory.
    quantization: Stored
    dtype: str
    #: Empty without an adapter.
    adapter_digest: str
    adapter_path: Path | None
    is_adapter_merged: bool

    @property
    def rounded_to(self) -> Quantization:
        """The quantization that the weights went through, even if they are dequantized now."""
        return "nf4" if self.quantization == DEQUANTIZED else self.quantization

    @property
    def held(self) -> str:
        """How the base model is held in memory, in words."""
        return f"quantization {self.quantization}, {self.dtype}"


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model ready to decode. `model` and `tokenizer` are transformers' own."""

    model: Any
    tokenizer: Any
    device: torch.device
    provenance: ModelProvenance
    #: Maps the quantization that an adapter was trained on (None: no adapter) to the one a fresh start would choose.
    choose_quantization: Callable[[str | None], Quantization]
    #: The unmerged weights of the layers that the adapter was merged into, by name; None: it cannot be swapped.
    originals: dict[str, torch.Tensor] | None = None
    #: How it is asked.
    profile: Profile = TWEETSUMM
    #: Tokens of one prompt with its completion; the model's own limit holds as well.
    max_model_len: int = 2048


def load_model(settings: ModelSettings) -> LoadedModel:
    """Load the base model and adapter of `settings`. Raises ModelError or AdapterError if that is not possible."""
    device = choose_device(settings.device)
    dtype = choose_dtype(settings.compute_dtype, device)
    keep_compiled(settings.cache_dir / "compiled")
    with quiet_loading():
        base = find_base_model(settings.base_model, settings.cache_dir)
        profile = choose_profile(settings.profile, settings.adapter_path)
        manifest = _check(settings.adapter_path, base, profile)
        has_room = fits(count_weights(base) * dtype.itemsize, free_bytes(device))
        choose = partial(choose_quantization, settings.quantization, device, has_room=has_room)
        quantization = choose(manifest.quantization if manifest else None)
        if settings.quantization == "auto" and quantization == "nf4" and manifest and manifest.quantization == "none":
            logger.warning(
                "adapter %s was trained on unquantized weights, which don't fit into this GPU's memory: with nf4 its "
                "summaries are worse. Free GPU memory, or set AFTERCALL_QUANTIZATION to none", manifest.digest
            )  # fmt: skip
        check_quantization(quantization, dtype, device)
        tokenizer = _load_tokenizer(base)
        model = _load_base(base, quantization, dtype, device)
        stored = _store(model, quantization, dtype) if settings.may_dequantize else quantization
        is_plain = stored in ("none", "fp8", DEQUANTIZED)
        model, originals = _adapt(model, settings, is_plain=is_plain)
    provenance = ModelProvenance(
        base_model=base.name,
        base_digest=base.digest,
        quantization=stored,
        dtype=str(dtype).removeprefix("torch."),
        adapter_digest=manifest.digest if manifest else "",
        adapter_path=settings.adapter_path,
        is_adapter_merged=manifest is not None and is_plain,
    )
    _settle_decoding(model, tokenizer)
    return LoadedModel(model.eval(), tokenizer, device, provenance, choose, originals, profile, settings.max_model_len)


def _store(model: Any, quantization: Quantization, dtype: torch.dtype) -> Stored:
    """Dequantize NF4 weights if memory allows; returns how the weights are stored now."""
    if quantization == "nf4" and dequantize_where_it_fits(model, dtype, free_bytes(model.device)):
        return DEQUANTIZED
    return quantization


def _adapt(model: Any, settings: ModelSettings, *, is_plain: bool) -> tuple[Any, dict[str, torch.Tensor] | None]:
    """The model with its adapter, if any, and the originals of the merged weights for a later swap."""
    folder = settings.adapter_path
    if folder is None:
        return model, {} if is_plain else None
    # Merged into 4-bit or 8-bit weights, the adapter would be rounded too.
    if not is_plain:
        return attach_adapter(model, folder), None
    originals = copy_originals(model, folder) if settings.is_swappable else None
    return merge_adapter(model, folder), originals


def _check(adapter_path: Path | None, base: BaseModel, profile: Profile) -> AdapterManifest | None:
    """Check the adapter before the weights are read, so that a wrong one is found in an instant."""
    if adapter_path is None:
        return None
    manifest = check_adapter(adapter_path, base.name, profile.id, base_digest=base.digest)
    check_contents(adapter_path)
    return manifest


def _load_tokenizer(base: BaseModel) -> Any:
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(base.folder, trust_remote_code=False, padding_side="left")
    except (OSError, ValueError) as error:
        raise ModelError(_load_problem(base, "tokenizer", error)) from error
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _load_base(base: BaseModel, quantization: Quantization, dtype: torch.dtype, device: torch.device) -> Any:
    from transformers import AutoModelForCausalLM

    try:
        model, report = AutoModelForCausalLM.from_pretrained(
            base.folder,
            dtype=dtype,
            device_map={"": device},
            quantization_config=quantization_config(quantization, dtype),
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except torch.OutOfMemoryError as error:
        raise ModelError(
            f"Base model {base.name} does not fit into this GPU's memory in {dtype} with quantization "
            f"{quantization}. Set quantization to nf4, or free the GPU (`nvidia-smi` shows who holds it)."
        ) from error
    except (OSError, ValueError, RuntimeError, ImportError, SafetensorError) as error:
        raise ModelError(_load_problem(base, "model", error)) from error
    if report["missing_keys"]:
        # transformers would go on with random weights in their place.
        missing = sorted(report["missing_keys"])
        raise ModelError(_load_problem(base, "model", f"its files lack {len(missing)} weights, {missing[0]} first"))
    return model


def _settle_decoding(model: Any, tokenizer: Any) -> None:
    """Keep only the EOS tokens of the generation defaults in the model's folder.

    Temperatures and penalties come from the sampling settings.
    """
    from transformers import GenerationConfig

    configured = model.generation_config.eos_token_id
    ends = find_ends(tokenizer, configured if isinstance(configured, list) else [configured])
    tokenizer.eos_token_id = find_end(tokenizer)
    model.generation_config = GenerationConfig(eos_token_id=ends, pad_token_id=tokenizer.pad_token_id)


def _load_problem(base: BaseModel, part: str, cause: object) -> str:
    line = str(cause).strip().split("\n", maxsplit=1)[0]
    return (
        f"The {part} of {base.name} in {base.folder} cannot be loaded: {line}. Copy the model again, or "
        "name one that this version of transformers knows without code of its own."
    )
