"""Turns a LoRA adapter made elsewhere with peft into one of ours: checked against its base model, with a manifest.

Adapters for Phi's original code name its fused attention matrix `Wqkv` and its output `out_proj`. transformers has
three matrices and `dense` instead. Splitting the fused B by rows and repeating A gives the same product, so such an
adapter is converted without loss.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from aftercall.errors import AdapterError
from training.files import write_artifact
from worker.adapters.manifest import CONFIG_FILE, WEIGHTS_FILE
from worker.loading.base_model import BaseModel

_PREFIX = "base_model.model."
_KEY = re.compile(r"(?P<layer>.+)\.lora_(?P<side>[AB])(?:\.default)?\.weight")
#: Phi's original layers: `transformer.h.0`, or `layers.1` in its oldest code, where the embedding is layer 0.
_OLD_PHI = re.compile(
    r"(?P<stem>transformer\.h|layers)\.(?P<number>\d+)\.(?P<rest>mixer\.(?:Wqkv|out_proj)|mlp\.fc[12])"
)
_OLD_PHI_NAMES = {"Wqkv": ("q_proj", "k_proj", "v_proj"), "out_proj": ("dense",), "fc1": ("fc1",), "fc2": ("fc2",)}
#: What an adapter's configuration may set only to these values; anything else is more than plain LoRA.
_PLAIN: dict[str, tuple[Any, ...]] = {
    "peft_type": ("LORA",),
    "bias": ("none",),
    "use_dora": (False, None),
    "modules_to_save": (None, []),
    "trainable_token_indices": (None, {}),
    "rank_pattern": (None, {}),
    "alpha_pattern": (None, {}),
    "layer_replication": (None, []),
    "target_parameters": (None, []),
}

Pairs = dict[str, dict[str, Tensor]]


def fetch_adapter(name: str) -> Path:
    """The folder of an adapter, which is downloaded if `name` is a hub id; AdapterError if it cannot be had."""
    if Path(name).is_dir():
        return Path(name)
    if "/" not in name or name.startswith((".", "/", "~")):
        raise AdapterError(f"{name} is neither a folder nor a hub id such as owner/adapter")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=[CONFIG_FILE, WEIGHTS_FILE]))
    # The hub's client documents no exceptions and passes on those of the libraries below it.
    except Exception as error:
        line = str(error).strip().split("\n", maxsplit=1)[0]
        raise AdapterError(f"{name} cannot be fetched from the hub: {line}. Give a local folder instead.") from error


def convert_adapter(folder: Path, base: BaseModel, out: Path) -> tuple[str, ...]:
    """Write the peft adapter in `folder` to `out`, as `base` in transformers takes it; returns its layers' names.

    Raises AdapterError if it is more than plain LoRA, or if one of its layers does not fit the base model.
    """
    config, weights = _read(folder)
    _check_plain(folder, config)
    pairs = _rename(_pair(folder, weights), int(config["r"]))
    _check_fit(folder, pairs, base, int(config["r"]))
    names = sorted({layer.rpartition(".")[2] for layer in pairs})
    config |= {"target_modules": names, "base_model_name_or_path": base.name, "inference_mode": True}
    named = {
        f"{_PREFIX}{layer}.lora_{side}.weight": matrix.contiguous()
        for layer, pair in pairs.items()
        for side, matrix in pair.items()
    }
    out.mkdir(parents=True, exist_ok=True)
    write_artifact(out / WEIGHTS_FILE, save(named, metadata={"format": "pt"}))
    write_artifact(out / CONFIG_FILE, (json.dumps(config, indent=2, sort_keys=True) + "\n").encode())
    return tuple(names)


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        if not (folder / name).is_file():
            raise AdapterError(
                f"{folder} has no {name}; a peft adapter has {CONFIG_FILE} and {WEIGHTS_FILE}. Save it with peft's "
                "save_pretrained."
            )
    try:
        config = json.loads((folder / CONFIG_FILE).read_bytes())
        weights = load_file(folder / WEIGHTS_FILE)
    except (OSError, ValueError, SafetensorError) as error:
        raise AdapterError(f"{folder} cannot be read: {error}. Copy the folder again.") from error
    if not isinstance(config, dict) or not isinstance(config.get("r"), int):
        raise AdapterError(f"{folder / CONFIG_FILE} is not a LoRA configuration: it has no rank `r`")
    return config, weights


def _check_plain(folder: Path, config: Mapping[str, Any]) -> None:
    special = [f"{key}={config[key]!r}" for key, plain in _PLAIN.items() if key in config and config[key] not in plain]
    if special:
        raise AdapterError(
            f"{folder} is not plain LoRA: {', '.join(special)}. Workers serve plain LoRA; merge this adapter into its "
            "base model with peft's merge_and_unload and serve that as AFTERCALL_BASE_MODEL."
        )


def _pair(folder: Path, weights: Mapping[str, Tensor]) -> Pairs:
    pairs: Pairs = {}
    for key, matrix in weights.items():
        found = _KEY.fullmatch(key.removeprefix(_PREFIX))
        if not found:
            raise AdapterError(f"{folder} holds {key}, which is not a LoRA matrix of a linear layer")
        pairs.setdefault(found["layer"], {})[found["side"]] = matrix
    single = [layer for layer, pair in pairs.items() if set(pair) != {"A", "B"}]
    if single or not pairs:
        raise AdapterError(f"{folder} lacks a matrix of {single[0] if single else 'every layer'}; copy it again")
    if not all(matrix.isfinite().all() for pair in pairs.values() for matrix in pair.values()):
        raise AdapterError(f"{folder} holds NaN or infinite numbers; its training diverged")
    return pairs


def _rename(pairs: Pairs, rank: int) -> Pairs:
    """The layers under the names of today's transformers."""
    renamed: Pairs = {}
    for layer, pair in pairs.items():
        found = _OLD_PHI.fullmatch(layer)
        if not found:
            renamed[layer] = pair
            continue
        number = int(found["number"]) - (found["stem"] == "layers")
        kind, _, old = found["rest"].partition(".")
        stem = f"model.layers.{number}.{'self_attn' if kind == 'mixer' else kind}"
        names = _OLD_PHI_NAMES[old]
        for name, rows in zip(names, pair["B"].chunk(len(names)), strict=True):
            renamed[f"{stem}.{name}"] = {"A": pair["A"].clone(), "B": rows.clone()}
    return renamed


def _check_fit(folder: Path, pairs: Pairs, base: BaseModel, rank: int) -> None:
    """Compare shapes with the base model's, which is built without its weights."""
    from transformers import AutoConfig, AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(base.folder, trust_remote_code=False))
    modules = dict(model.named_modules())
    for layer, pair in pairs.items():
        weight = getattr(modules.get(layer), "weight", None)
        if weight is None:
            raise AdapterError(
                f"{folder} does not fit {base.name}, which has no layer {layer}; name its base in --base"
            )
        # GPT-2's Conv1D stores its weight transposed.
        is_transposed = type(modules[layer]).__name__ == "Conv1D"
        shape = tuple(weight.shape)[::-1] if is_transposed else tuple(weight.shape)
        theirs = (pair["B"].shape[0], pair["A"].shape[1])
        if theirs != shape or pair["A"].shape[0] != rank or pair["B"].shape[1] != rank:
            raise AdapterError(
                f"{folder} does not fit {base.name}: {layer} is {shape[0]} x {shape[1]} there, and {theirs[0]} x "
                f"{theirs[1]} with rank {pair['A'].shape[0]} (configured: {rank}) in the adapter"
            )
