"""Vectors as Postgres reads them: text literals need no type registration on pooled connections."""

import numpy as np
import orjson
from numpy.typing import NDArray


def bits_literal(vector: NDArray[np.float32]) -> str:
    """The sign bits as Postgres reads them: '1' where a component is >= 0."""
    return (vector >= 0).astype(np.uint8).tobytes().translate(_TO_DIGITS).decode()


def vector_literal(vector: NDArray[np.float32]) -> str:
    """The components as pgvector reads them, in as many digits as a float32 needs."""
    row = np.ascontiguousarray(vector, dtype=np.float32)
    return orjson.dumps(row, option=orjson.OPT_SERIALIZE_NUMPY).decode()


_TO_DIGITS = bytes([ord("0"), ord("1"), *range(2, 256)])
