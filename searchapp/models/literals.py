"""Vectors as Postgres reads them: text literals need no type registration on pooled connections."""

import numpy as np
from numpy.typing import NDArray


def bits_literal(vector: NDArray[np.float32]) -> str:
    """The sign bits as Postgres reads them: '1' where a component is >= 0."""
    return (vector >= 0).astype(np.uint8).tobytes().translate(_TO_DIGITS).decode()


def vector_literal(vector: NDArray[np.float32]) -> str:
    """The components as pgvector reads them; 5 digits keep all that a half float holds."""
    return "[" + ",".join([f"{x:.5g}" for x in vector.tolist()]) + "]"


_TO_DIGITS = bytes([ord("0"), ord("1"), *range(2, 256)])
