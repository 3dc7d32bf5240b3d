"""Chooses device, quantization and dtype from the settings and what the machine can do."""

from typing import Any, Literal

import torch

from aftercall.errors import ModelError
from worker.loading.quiet import silence_bitsandbytes

#: The first GPUs with a matrix product of 8-bit floats that are scaled by row.
_FP8_CAPABILITY = (9, 0)

Device = Literal["auto", "cuda", "cpu"]
Quantization = Literal["auto", "nf4", "fp8", "int8", "none"]
ComputeDtype = Literal["auto", "bfloat16", "float16", "float32"]


def choose_device(asked: Device) -> torch.device:
    """The process's current GPU or the CPU. Raises ModelError if a GPU is requested and there is none."""
    has_gpu = torch.cuda.is_available()
    if asked == "cuda" and not has_gpu:
        cause = (
            "none is visible: look at `nvidia-smi` and CUDA_VISIBLE_DEVICES"
            if torch.version.cuda
            else "this build of PyTorch has no CUDA: install one that does"
        )
        raise ModelError(f"A GPU is asked for, but {cause}. Or set the device to auto or cpu.")
    return torch.device("cuda", torch.cuda.current_device()) if has_gpu and asked != "cpu" else torch.device("cpu")


def choose_quantization(
    asked: Quantization, device: torch.device, trained_on: str | None, *, has_room: bool
) -> Quantization:
    """How the weights are stored: as asked, or with `auto` unquantized on the CPU and NF4 on a GPU.

    An adapter that was trained on unquantized weights gets them on a GPU too if they fit: quantizing the base model of
    a small model's adapter loses much of what the adapter learned.

    Args:
        trained_on: the quantization that the adapter was trained on; None without an adapter.
        has_room: whether the unquantized weights leave enough free GPU memory.
    """
    if asked != "auto":
        return asked
    is_plain = device.type == "cpu" or (trained_on == "none" and has_room)
    return "none" if is_plain else "nf4"


def choose_dtype(asked: ComputeDtype, device: torch.device) -> torch.dtype:
    """The compute dtype: as asked, or bfloat16, float16 (older GPUs), float32 (CPU).

    Raises ModelError if bfloat16 is requested on a GPU that lacks it.
    """
    # Emulated bfloat16 is slower than float16, so a GPU that emulates it counts as one without it.
    has_bfloat16 = device.type == "cpu" or torch.cuda.is_bf16_supported(including_emulation=False)
    if asked == "bfloat16" and not has_bfloat16:
        raise ModelError("This GPU cannot compute in bfloat16. Set the compute dtype to float16 or auto.")
    if asked != "auto":
        return {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}[asked]
    if device.type == "cpu":
        return torch.float32
    return torch.bfloat16 if has_bfloat16 else torch.float16


def check_quantization(quantization: Quantization, dtype: torch.dtype, device: torch.device) -> None:
    """Raise ModelError if the device cannot compute in this quantization."""
    if quantization != "fp8":
        return
    if device.type != "cuda" or torch.cuda.get_device_capability(device) < _FP8_CAPABILITY:
        has = "this process runs on a CPU" if device.type == "cpu" else f"this is {torch.cuda.get_device_name(device)}"
        raise ModelError(
            f"AFTERCALL_QUANTIZATION=fp8 needs an NVIDIA GPU of compute capability 9.0 or later (H100, H200, B200); "
            f"{has}. Set it to auto, or to none."
        )
    if dtype != torch.bfloat16:
        raise ModelError(
            f"AFTERCALL_QUANTIZATION=fp8 computes in bfloat16, and AFTERCALL_COMPUTE_DTYPE asks for "
            f"{str(dtype).removeprefix('torch.')}. Set the compute dtype to auto or bfloat16."
        )


def quantization_config(quantization: Quantization, dtype: torch.dtype) -> Any:
    """The bitsandbytes configuration for transformers; None for weights that are loaded unquantized.

    The engine rounds them for fp8, after an adapter is merged.
    """
    if quantization in ("none", "fp8"):
        return None
    from transformers import BitsAndBytesConfig

    silence_bitsandbytes()
    if quantization == "int8":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )
