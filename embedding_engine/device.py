"""Which device and number type a model runs with. Imports torch; knows no model."""

import torch

from embedding_engine.errors import ModelUnavailable


def chosen_device(name: str) -> torch.device:
    """The device of that name; "auto" takes a GPU when there is one. ModelUnavailable if absent."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ModelUnavailable(f"unknown device '{name}'") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ModelUnavailable(f"device '{name}' was asked for, but this machine has no such GPU")
    return device


def is_bfloat16_fast(device: torch.device) -> bool:
    """True where bfloat16 products are done in hardware and so beat float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
