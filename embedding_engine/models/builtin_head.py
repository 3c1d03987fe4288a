"""The head of the built-in model: 384 dimensions to a nested 1536, as a matrix from a file."""

from functools import lru_cache
from pathlib import Path

import numpy as np

from embedding_engine.types import FloatArray

HEAD_FILE = Path(__file__).with_name("builtin_head.npz")


@lru_cache(maxsize=1)
def load_head() -> FloatArray:
    """(1536, 384) float32: rows of the head. Stored as 16-bit fixed point, so exact everywhere."""
    with np.load(HEAD_FILE, allow_pickle=False) as stored:
        matrix: FloatArray = stored["matrix"].astype(np.float32) * np.float32(stored["step"])
    return matrix


def save_head(matrix: FloatArray, path: Path = HEAD_FILE) -> None:
    """Write (1536, 384) so that `load_head` finds it again."""
    step = np.float32(np.abs(matrix).max() / np.iinfo(np.int16).max)
    np.savez_compressed(path, matrix=np.round(matrix / step).astype(np.int16), step=step)
