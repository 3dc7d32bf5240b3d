"""The model of a worker: base model and adapter, loaded once, with a record of what was loaded.

Knows settings, files and devices; knows no prompt, no engine and no queue.
"""

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from aftercall.errors import ModelError
from aftercall.prompt import PROMPT_VERSION
from worker.adapter import AdapterManifest, apply_adapter, check_adapter
from worker.base_model import BaseModel, find_base_model
from worker.precision import (
    ComputeDtype,
    Device,
    Quantization,
    choose_device,
    choose_dtype,
    choose_quantization,
    quantization_config,
)
from worker.quiet import quiet_loading

#: Ends of text in the families served here, where the tokenizer has them.
END_OF_TEXT_TOKENS = ("<|endoftext|>", "<|im_end|>")


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """What to load, and how."""

    #: A Hugging Face id, a local folder, a .gguf file, or `worker.base_model.PACKAGED_MODEL`.
    base_model: str
    quantization: Quantization
    compute_dtype: ComputeDtype
    adapter_path: Path | None
    device: Device
    #: Converted models lie in its folder `models`.
    cache_dir: Path


@dataclass(frozen=True, slots=True)
class ModelProvenance:
    """What is in memory: this ends up in each summary's row."""

    base_model: str
    base_digest: str
    #: As stored in memory: nf4, int8 or none.
    quantization: str
    dtype: str
    #: Empty without an adapter.
    adapter_digest: str
    adapter_path: Path | None
    is_adapter_merged: bool


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model ready to decode. `model` and `tokenizer` are transformers' own."""

    model: Any
    tokenizer: Any
    device: torch.device
    provenance: ModelProvenance


def load_model(settings: ModelSettings, *, is_quiet: bool = True) -> LoadedModel:
    """Load base model and adapter as `settings` say; ModelError or AdapterError with the next step where not."""
    device = choose_device(settings.device)
    quantization = choose_quantization(settings.quantization, device)
    dtype = choose_dtype(settings.compute_dtype, device)
    with quiet_loading() if is_quiet else nullcontext():
        base = find_base_model(settings.base_model, settings.cache_dir)
        manifest = _check(settings.adapter_path, base)
        tokenizer = _load_tokenizer(base)
        model = _load_base(base, quantization, dtype, device)
        # Merged into 4 or 8 bits, the adapter would be rounded with them.
        is_merged = manifest is not None and quantization == "none"
        if settings.adapter_path is not None:
            model = apply_adapter(model, settings.adapter_path, is_merged=is_merged)
    provenance = ModelProvenance(
        base_model=base.name,
        base_digest=base.digest,
        quantization=quantization,
        dtype=str(dtype).removeprefix("torch."),
        adapter_digest=manifest.digest if manifest else "",
        adapter_path=settings.adapter_path,
        is_adapter_merged=is_merged,
    )
    _settle_decoding(model, tokenizer)
    return LoadedModel(model.eval(), tokenizer, device, provenance)


def _check(adapter_path: Path | None, base: BaseModel) -> AdapterManifest | None:
    """Before the weights are read: a wrong adapter should not cost a minute to find."""
    if adapter_path is None:
        return None
    return check_adapter(adapter_path, base.name, PROMPT_VERSION, base_digest=base.digest)


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
        # transformers would go on with random numbers in their place.
        missing = sorted(report["missing_keys"])
        raise ModelError(_load_problem(base, "model", f"its files lack {len(missing)} weights, {missing[0]} first"))
    return model


def _settle_decoding(model: Any, tokenizer: Any) -> None:
    """Leave the ends of text and nothing else of what the model's folder suggests for decoding.

    Temperatures and penalties belong to the sampling settings. Of its ends a folder often names only one.
    """
    from transformers import GenerationConfig

    configured = model.generation_config.eos_token_id
    ids = [tokenizer.eos_token_id, *(configured if isinstance(configured, list) else [configured])]
    for token in END_OF_TEXT_TOKENS:
        index = tokenizer.convert_tokens_to_ids(token)
        # A tokenizer answers with its unknown token for what it does not have.
        if index is not None and tokenizer.convert_ids_to_tokens(index) == token:
            ids.append(index)
    ends = list(dict.fromkeys(index for index in ids if index is not None))
    model.generation_config = GenerationConfig(eos_token_id=ends, pad_token_id=tokenizer.pad_token_id)


def _load_problem(base: BaseModel, part: str, cause: object) -> str:
    line = str(cause).strip().split("\n", maxsplit=1)[0]
    return (
        f"The {part} of {base.name} in {base.folder} cannot be loaded: {line}. Copy the model again, or "
        "name one that this version of transformers knows without code of its own."
    )
