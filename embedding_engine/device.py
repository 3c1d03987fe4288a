"""Which device and number type a model runs with, how much it takes at once, when it is full.

Knows no model. torch is imported by what needs it, so that a model without torch runs without.
"""

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from embedding_engine.base import Row
from embedding_engine.errors import DeviceLost, DeviceOutOfMemory, ModelUnavailable
from embedding_engine.types import FloatArray

if TYPE_CHECKING:
    import torch

CPU_BATCH_TOKENS = 1_024
"""Tokens of one batch of the built-in model on two CPU cores: what a query waits for, 146 ms at the
median. Twice as many give 3 to 10 % more texts/s and make queries wait twice as long."""
GPU_BATCH_TOKENS = 2_560
"""Two pages of 1,280 tokens. By arithmetic (10 TFLOP a page for a 2B model at 40 % of the bfloat16
peak, not measured) 160 ms on an A100; a page alone takes 200 ms on an L4."""
HOPPER_BATCH_TOKENS = 7_680
"""Six pages, by the same arithmetic 150 ms on an H100 or H200."""
_HOPPER = (9, 0)

_FULL = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)


def chosen_device(name: str) -> "torch.device":
    """The device of that name; "auto" takes a GPU when there is one. ModelUnavailable if absent."""
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ModelUnavailable(f"unknown device '{name}'") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ModelUnavailable(f"device '{name}' was asked for, but this machine has no such GPU")
    return device


def is_bfloat16_fast(device: "torch.device") -> bool:
    """True where bfloat16 products are done in hardware and so beat float32."""
    import torch

    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def chosen_dtype(
    name: str, device: "torch.device", known: Sequence[str] = ("float32", "bfloat16")
) -> "torch.dtype":
    """The number type of that name; "auto": bfloat16 where it is fast, else float32.

    `known`: those that the model computes well in. ModelUnavailable for any other.
    """
    import torch

    if name == "auto":
        return torch.bfloat16 if is_bfloat16_fast(device) else torch.float32
    if name not in known:
        raise ModelUnavailable(f"dtype '{name}' is not one of auto, {', '.join(known)}")
    found: torch.dtype = getattr(torch, name)
    return found


def default_batch_tokens(name: str) -> int:
    """Tokens of one batch on the device of that name, so that it takes about 150 to 200 ms.

    A query waits for at most one batch; batches of pages gain nothing from being longer.
    """
    if "torch" not in sys.modules:  # the model that was just loaded does without
        return CPU_BATCH_TOKENS
    import torch

    device = chosen_device(name)
    if device.type != "cuda":
        return CPU_BATCH_TOKENS
    is_hopper = torch.cuda.get_device_capability(device) >= _HOPPER
    return HOPPER_BATCH_TOKENS if is_hopper else GPU_BATCH_TOKENS


def within_memory(
    forward: Callable[[Sequence[Row]], FloatArray],
) -> Callable[[Sequence[Row]], FloatArray]:
    """`forward` that raises DeviceOutOfMemory, its memory freed, where the device was full.

    DeviceLost after an error (a device-side assert, say) that all later work on it fails with.
    """

    def run(rows: Sequence[Row]) -> FloatArray:
        try:
            return forward(rows)
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error):
                if _is_lost():
                    raise DeviceLost("the device is lost: the engine must start anew") from error
                raise
            message = str(error)
        # Only here: inside the except the error's traceback still holds the tensors of the pass.
        free_cached_memory()
        raise DeviceOutOfMemory(message)

    return run


def _is_out_of_memory(error: RuntimeError | MemoryError) -> bool:
    """torch has a class of its own for the GPU's allocator; the CPU's and libraries' have none."""
    torch = sys.modules.get("torch")
    if isinstance(error, MemoryError) or (torch and isinstance(error, torch.OutOfMemoryError)):
        return True
    return any(words in str(error) for words in _FULL)


def _is_lost() -> bool:
    """Whether the GPU fails with nothing to do: CUDA keeps such an error for good."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return False
    try:
        torch.cuda.synchronize()
    except RuntimeError:
        return True
    return False


def free_cached_memory() -> None:
    """Give back what the GPU's allocator keeps for later; nothing on a CPU."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
