"""A model of Phi-1.5's shape and an adapter for it, both of random numbers, as the folders that workers load."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from aftercall.profile import TWEETSUMM
from bench.workload import random_phi
from worker.adapters.manifest import AdapterManifest, compute_digest, write_manifest
from worker.adapters.merge import attach_adapter
from worker.loading.load import ModelSettings, load_model
from worker.loading.precision import ComputeDtype, Quantization

#: Every linear layer of a Phi block.
_PHI_LAYERS = ("q_proj", "k_proj", "v_proj", "dense", "fc1", "fc2")


@dataclass(frozen=True, slots=True)
class RandomModel:
    """What to load, and how."""

    #: Written when it is not there yet; takes 2.8 GB.
    folder: Path
    quantization: Quantization
    compute_dtype: ComputeDtype
    may_dequantize: bool
    adapter: Literal["merged", "unmerged"] | None


def load_random(asked: RandomModel, tokenizer: Any) -> Any:
    """Load it as a worker would; an unmerged adapter stays beside weights of any kind."""
    base, adapter = asked.folder / "random-phi", asked.folder / "adapter"
    if not adapter.is_dir():
        model = random_phi("cuda", torch.bfloat16)
        model.save_pretrained(base)
        tokenizer.save_pretrained(base)
        _write_adapter(model, adapter)
        del model
        torch.cuda.empty_cache()
    loaded = load_model(
        ModelSettings(
            base_model=str(base),
            quantization=asked.quantization,
            compute_dtype=asked.compute_dtype,
            adapter_path=adapter if asked.adapter == "merged" else None,
            device="cuda",
            cache_dir=asked.folder,
            may_dequantize=asked.may_dequantize,
        )
    )
    return attach_adapter(loaded.model, adapter).eval() if asked.adapter == "unmerged" else loaded.model


def _write_adapter(model: Any, folder: Path) -> None:
    from peft import LoraConfig, get_peft_model

    with warnings.catch_warnings():
        # peft asks newer transformers for an attribute by its former name.
        warnings.simplefilter("ignore", FutureWarning)
        lora = LoraConfig(r=16, target_modules=list(_PHI_LAYERS), init_lora_weights=False)
        get_peft_model(model, lora).save_pretrained(folder)
    manifest = AdapterManifest(
        digest=compute_digest(folder),
        base_model="random-phi",
        base_digest=None,
        quantization="none",
        recipe="random",
        prompt_version=TWEETSUMM.id,
        cleaner_version="1",
        data_digest="",
        metrics={},
        parents=(),
        created_at="2026-11-22T00:00:00+00:00",
    )
    write_manifest(folder, manifest)
