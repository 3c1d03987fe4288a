"""Bulk load for benchmarks and tests at scale: embeddings by binary COPY, and pages for them.

COPY made by numpy is 20 times as fast as INSERT of literals. Knows the tables' columns only.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedding_engine.types import FloatArray

_HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_END = b"\xff\xff"
COLUMNS = "index_id, page_id, collection_id, lane, position, bits, vec"


def embeddings_copy(
    cursor: Any,
    index_id: int,
    pages: NDArray[np.int64],
    collections: NDArray[np.int64],
    vectors: FloatArray,
    *,
    lane: str = "text",
    position: int = 0,
    table: str = "searchapp_embedding",
) -> None:
    """Write unit `vectors` (n, D), one per page, with their sign bits."""
    rows = np.zeros(len(vectors), dtype=_row_type(vectors.shape[1], lane))
    for name, size in _SIZES.items():
        rows[f"{name}_size"] = size
    rows["position"] = position
    rows["fields"], rows["lane_size"], rows["lane"] = 7, len(lane), lane.encode()
    rows["bits_size"], rows["bits_count"] = 4 + vectors.shape[1] // 8, vectors.shape[1]
    rows["vec_size"], rows["vec_count"] = 4 + 2 * vectors.shape[1], vectors.shape[1]
    rows["index"], rows["page"], rows["collection"] = index_id, pages, collections
    rows["bits"] = np.packbits(vectors >= 0, axis=1)
    rows["vec"] = vectors.astype(np.float16)
    with cursor.copy(f"COPY {table} ({COLUMNS}) FROM STDIN (FORMAT binary)".encode()) as copy:
        copy.write(_HEADER + rows.tobytes() + _END)


def pages_make(cursor: Any, first: int, rows: int, of_hundred: Sequence[int]) -> None:
    """Pages `first`, `first` + 1, ... in documents of a hundred or fewer; page i belongs to the
    collection `of_hundred[i % 100]`, scattered, as if uploaded in turn."""
    documents = max(100, rows // 100)
    bounds = {"first": first, "rows": rows, "documents": documents, "of_hundred": list(of_hundred)}
    for table, values in (("document", _DOCUMENT), ("page", _PAGE)):
        columns = _columns(cursor, f"searchapp_{table}", values)
        count = documents if table == "document" else rows
        cursor.execute(
            f"INSERT INTO searchapp_{table} ({', '.join(columns)})"
            f" SELECT {', '.join(columns.values())}"
            f" FROM generate_series(0, {count - 1}) AS n",
            bounds,
        )


_DOCUMENT = {
    "id": "%(first)s + n",
    "collection_id": "(%(of_hundred)s::bigint[])[1 + n %% 100]",
    "title": "'Document ' || n",
    "kind": "'pdf'",
    "sha256": "%(first)s + n",
    "status": "'ready'",
}
_PAGE = {
    "id": "%(first)s + n",
    "document_id": "%(first)s + n %% %(documents)s",
    "number": "1 + n / %(documents)s",
    "step": "'done'",
    "state": "'done'",
}
_OTHERWISE = {
    "boolean": "false",
    "jsonb": "'[]'",
    "ARRAY": "'{}'",
    "text": "''",
    "character varying": "''",
    "timestamp with time zone": "now()",
}


def _columns(cursor: Any, table: str, values: dict[str, str]) -> dict[str, str]:
    """What to write in each column that must not be null, also those of later migrations."""
    cursor.execute(
        "SELECT column_name, data_type FROM information_schema.columns"
        " WHERE table_name = %s AND is_nullable = 'NO'",
        [table],
    )
    return {name: values.get(name, _OTHERWISE.get(kind, "0")) for name, kind in cursor.fetchall()}


_SIZES = {"index": 8, "page": 8, "collection": 8, "position": 2}


def _row_type(dimension: int, lane: str) -> np.dtype[np.void]:
    """A row as Postgres's binary format has it: big-endian, each field after its length."""
    return np.dtype(
        [
            ("fields", ">i2"),
            *(("index_size", ">i4"), ("index", ">i8")),
            *(("page_size", ">i4"), ("page", ">i8")),
            *(("collection_size", ">i4"), ("collection", ">i8")),
            *(("lane_size", ">i4"), ("lane", f"S{len(lane)}")),
            *(("position_size", ">i4"), ("position", ">i2")),
            *(("bits_size", ">i4"), ("bits_count", ">i4"), ("bits", "u1", (dimension // 8,))),
            ("vec_size", ">i4"),
            *(("vec_count", ">i2"), ("vec_unused", ">i2"), ("vec", ">f2", (dimension,))),
        ]
    )
