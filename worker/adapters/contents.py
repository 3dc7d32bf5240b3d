"""Checks what is inside an adapter's files before torch or peft reads them.

Adapters come from other machines and other people. A configuration can name modules for peft to import, and weights
that are not finite turn every answer into noise, so both are refused with a sentence. Imports no torch.
"""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from safetensors import SafetensorError, safe_open

from aftercall.errors import AdapterError
from aftercall.masking import printable
from worker.adapters.manifest import CONFIG_FILE, WEIGHTS_FILE

#: Keys of an `adapter_config.json` that may be set: all of them are plain data to peft. Any other key may be there only
#: with an empty value, as peft writes the options of methods that were not used. Among the others are
#: `megatron_core` with `megatron_config`, which name modules to import.
ALLOWED_KEYS: Final = frozenset(
    {"alpha_pattern", "base_model_name_or_path", "bias", "exclude_modules", "fan_in_fan_out", "inference_mode"}
    | {"init_lora_weights", "layer_replication", "layers_pattern", "layers_to_transform", "lora_alpha", "lora_bias"}
    | {"lora_dropout", "modules_to_save", "peft_type", "peft_version", "qalora_group_size", "r", "rank_pattern"}
    | {"revision", "target_modules", "target_parameters", "task_type", "trainable_token_indices", "use_dora"}
    | {"use_rslora"}
)

#: peft writes this default into every configuration; without `megatron_config` it does nothing.
_HARMLESS: Final = {"megatron_core": "megatron.core"}

#: numpy's type for the bits of each allowed type, and the exponent bits, which are all set in NaN and infinity.
_FLOAT_BITS: Final = {"F32": ("<u4", 0x7F800000), "F16": ("<u2", 0x7C00), "BF16": ("<u2", 0x7F80)}

#: No layer of a model is larger, and a root can be taken of it.
_MAX_RANK: Final = 65_536

#: Characters of a key or a value that an error quotes.
_MAX_QUOTED: Final = 200

#: Numbers that are checked at once, so that a large adapter takes little memory.
_PART: Final = 1 << 22


def check_contents(folder: Path) -> None:
    """Raise AdapterError unless the configuration is plain data and the weights are finite floating-point numbers."""
    _check_config(folder / CONFIG_FILE)
    _check_weights(folder / WEIGHTS_FILE)


def _check_config(path: Path) -> None:
    # manifest.compute_digest has read this file before, so it is a JSON object.
    config: dict[str, Any] = json.loads(path.read_bytes())
    refused = sorted(key for key, value in config.items() if value and not _is_allowed(key, value))
    if refused:
        named = printable(", ".join(refused)[:_MAX_QUOTED])
        raise AdapterError(
            f"{path} sets {named}, which aftercall does not load. Use a LoRA adapter without that, or "
            "remove it if the adapter works without it, and publish the adapter again."
        )
    ranks = {"r": config.get("r", 1), **_pattern(config, "rank_pattern")}
    for name, rank in ranks.items():
        if type(rank) is not int or not 1 <= rank <= _MAX_RANK:
            raise AdapterError(
                f"{path} sets {_quote(name)} to {_quote(rank)}; expected a rank of 1 or more, up to {_MAX_RANK:,}. "
                f"{_TRAIN_AGAIN}"
            )
    alphas = {"lora_alpha": config.get("lora_alpha", 1), **_pattern(config, "alpha_pattern")}
    for name, alpha in alphas.items():
        if not _is_finite_number(alpha):
            raise AdapterError(
                f"{path} sets {_quote(name)} to {_quote(alpha)}; expected a finite number. {_TRAIN_AGAIN}"
            )


def _is_finite_number(value: object) -> bool:
    try:
        return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]
    except OverflowError:  # a whole number that no float holds
        return False


def _quote(value: object) -> str:
    """What somebody else wrote, for an error."""
    return printable(str(value)[:_MAX_QUOTED])


def _is_allowed(key: str, value: object) -> bool:
    if key == "peft_type":
        return value == "LORA"
    if key == "auto_mapping":
        # peft writes down the class of a model that was given no task, and imports it where somebody loads by that.
        return isinstance(value, dict) and str(value.get("parent_library")).startswith("transformers.")
    return key in ALLOWED_KEYS or (key in _HARMLESS and value == _HARMLESS[key])


def _pattern(config: Mapping[str, Any], key: str) -> dict[str, Any]:
    pattern = config.get(key) or {}
    # A list or a text where names and numbers are expected.
    return pattern if isinstance(pattern, dict) else {key: pattern}


def _check_weights(path: Path) -> None:
    try:
        with safe_open(path, "np") as weights:
            types = {name: weights.get_slice(name).get_dtype() for name in weights.keys()}  # noqa: SIM118 - no mapping
    except (OSError, SafetensorError) as error:
        raise AdapterError(f"{path} cannot be read: {error}. Copy the folder again.") from error
    for name, dtype in types.items():
        if dtype not in _FLOAT_BITS:
            raise AdapterError(f"{path} stores {name} as {dtype}; expected {', '.join(_FLOAT_BITS)}. {_TRAIN_AGAIN}")
    for name, is_finite in _finite(path):
        if not is_finite:
            raise AdapterError(f"{path} holds numbers that are not finite, in {name}. {_TRAIN_AGAIN}")


def _finite(path: Path) -> Iterator[tuple[str, bool]]:
    """Whether each tensor is finite, from its bits: numpy has no bfloat16."""
    import numpy as np

    with path.open("rb") as file:
        num_header = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(num_header))
    for name, tensor in header.items():
        if name == "__metadata__":
            continue
        bits, exponent = _FLOAT_BITS[tensor["dtype"]]
        start, end = tensor["data_offsets"]
        if start == end:
            continue
        values = np.memmap(path, bits, "r", 8 + num_header + start, ((end - start) // np.dtype(bits).itemsize,))
        parts = (values[at : at + _PART] for at in range(0, len(values), _PART))
        yield name, not any(bool(((part & exponent) == exponent).any()) for part in parts)


_TRAIN_AGAIN: Final = "Train the adapter again, or use another one."
