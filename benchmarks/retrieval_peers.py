"""faiss, LanceDB, Chroma and milvus-lite in the retrieval benchmark, each as its own guide has it.

Each is imported by its class alone. All keep what they built below `work`.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import Row
from benchmarks.retrieval_corpus import HITS, Corpus
from embedding_engine.types import FloatArray


class _Embedded:
    """What runs inside this process."""

    name: str
    queries = 500
    described: dict[str, Any] = {}

    def __init__(self, work: Path, corpus: Corpus) -> None:
        self.corpus = corpus
        self.folder = work / f"{self.name}-{corpus.rows}-{corpus.dimension}"
        self.folder.mkdir(exist_ok=True)

    def open(self) -> None:
        """Nothing that a search does not do."""

    def pids(self) -> list[int]:
        """This process and its children."""
        return [os.getpid()]

    def more(self, setting: int) -> list[Row]:
        """Nothing more."""
        return []

    def close(self) -> None:
        """Nothing to stop."""

    def _bytes(self, pattern: str) -> int:
        return sum(path.stat().st_size for path in self.folder.rglob(pattern) if path.is_file())


class Faiss(_Embedded):
    """Binary HNSW, then the candidates' half floats from a memory-mapped file: our two stages."""

    name = "faiss"
    knob, settings = "candidates", (20, 40, 60, 80, 120, 160, 240, 320, 400)
    described = {"index": "IndexBinaryHNSW", "m": 16, "ef_construction": 64}

    def load(self) -> None:
        """The floats, as a file."""
        shape = self.corpus.rows, self.corpus.dimension
        path = self.folder / "floats.npy"
        stored = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=shape)
        for start, vectors in self.corpus.blocks():
            stored[start : start + len(vectors)] = vectors

    def index(self) -> None:
        """Bits into the graph, with all cores."""
        import faiss

        made = faiss.IndexBinaryHNSW(self.corpus.dimension, 16)
        made.hnsw.efConstruction = 64
        made.add(
            np.concatenate(
                [np.packbits(vectors >= 0, axis=1) for _, vectors in self.corpus.blocks()]
            )
        )
        faiss.write_index_binary(made, str(self.folder / "bits"))

    def open(self) -> None:
        """The graph in memory, one thread a query; the floats through the page cache."""
        import faiss

        faiss.omp_set_num_threads(1)
        self._index = faiss.read_index_binary(str(self.folder / "bits"))
        self._floats = np.load(self.folder / "floats.npy", mmap_mode="r")

    def search(self, query: FloatArray, setting: int) -> Sequence[int]:
        """`setting` candidates."""
        import faiss

        bits = np.packbits(query >= 0)[None]
        parameters = faiss.SearchParametersHNSW(efSearch=max(64, 2 * setting))
        _, near = self._index.search(bits, setting, params=parameters)
        rows = near[0][near[0] >= 0]
        scores = self._floats[rows].astype(np.float32) @ query
        return [int(row) for row in rows[np.argsort(-scores)[:HITS]]]

    def sizes(self) -> dict[str, int]:
        """Files."""
        return {"index_bytes": self._bytes("bits"), "float_bytes": self._bytes("floats.npy")}


class LanceDb(_Embedded):
    """IVF_HNSW_SQ in one partition, refined with the stored floats. Those are float32: its training
    over float16 did not end in 25 minutes."""

    name = "lancedb"
    knob, settings = "ef", (40, 80, 160, 320)
    queries = 200
    described = {
        "index": "IVF_HNSW_SQ",
        "m": 16,
        "ef_construction": 64,
        "refine_factor": 4,
        "vectors": "float32",
    }

    def __init__(self, work: Path, corpus: Corpus) -> None:
        super().__init__(work, corpus)
        os.environ.setdefault("RUST_LOG", "error")

    def load(self) -> None:
        """Arrow batches."""
        import lancedb
        import pyarrow as pa

        kind = pa.list_(pa.float32(), self.corpus.dimension)
        schema = pa.schema([("id", pa.int64()), ("vector", kind)])

        def batches() -> Any:
            for start, vectors in self.corpus.blocks():
                flat = pa.array(vectors.ravel())
                column = pa.FixedSizeListArray.from_arrays(flat, self.corpus.dimension)
                numbers = pa.array(np.arange(start, start + len(vectors)))
                yield pa.RecordBatch.from_arrays([numbers, column], schema=schema)

        database = lancedb.connect(str(self.folder))
        database.create_table("vectors", batches(), schema=schema, mode="overwrite")

    def index(self) -> None:
        """With the m and ef_construction of the others."""
        from lancedb.index import HnswSq

        self.open()
        how = HnswSq(distance_type="dot", num_partitions=1, m=16, ef_construction=64)
        self._table.create_index("vector", config=how)

    def open(self) -> None:
        """The table."""
        import lancedb

        self._table = lancedb.connect(str(self.folder)).open_table("vectors")

    def search(self, query: FloatArray, setting: int) -> Sequence[int]:
        """With `setting` as ef."""
        asked = self._table.search(query).distance_type("dot").nprobes(1).ef(setting)
        found = asked.refine_factor(4).limit(HITS).select(["id", "_distance"]).to_arrow()
        return [int(number) for number in found["id"].to_pylist()]

    def sizes(self) -> dict[str, int]:
        """Files: the index, which holds the rows in a byte a dimension, and the floats."""
        index = sum(
            path.stat().st_size
            for path in (self.folder / "vectors.lance" / "_indices").rglob("*")
            if path.is_file()
        )
        return {"index_bytes": index, "float_bytes": self._bytes("data/*.lance")}


class Chroma(_Embedded):
    """Its HNSW over float32."""

    name = "chroma"
    knob, settings = "ef_search", (20, 40, 80, 160, 320)
    queries = 200
    described = {"index": "HNSW", "m": 16, "ef_construction": 64, "vectors": "float32"}

    def __init__(self, work: Path, corpus: Corpus) -> None:
        super().__init__(work, corpus)
        import chromadb
        from chromadb.config import Settings

        self._client = chromadb.PersistentClient(
            str(self.folder), settings=Settings(anonymized_telemetry=False)
        )
        self._setting = 0

    def load(self) -> None:
        """It builds while it loads: see `index`."""

    def index(self) -> None:
        """Rows in its largest batches."""
        hnsw = {"space": "ip", "ef_construction": 64, "max_neighbors": 16}
        made = self._client.get_or_create_collection("vectors", configuration={"hnsw": hnsw})
        most = self._client.get_max_batch_size()
        for start, vectors in self.corpus.blocks():
            for at in range(0, len(vectors), most):
                part = vectors[at : at + most]
                numbers = range(start + at, start + at + len(part))
                made.add(ids=[str(number) for number in numbers], embeddings=part)

    def open(self) -> None:
        """The collection."""
        self._collection = self._client.get_collection("vectors")

    def search(self, query: FloatArray, setting: int) -> Sequence[int]:
        """With `setting` as ef."""
        if setting != self._setting:
            self._collection.modify(configuration={"hnsw": {"ef_search": setting}})
            self._setting = setting
        found = self._collection.query(query_embeddings=query[None], n_results=HITS, include=[])
        return [int(number) for number in found["ids"][0]]

    def sizes(self) -> dict[str, int]:
        """Files: graph and floats are one."""
        return {"index_bytes": self._bytes("*.bin"), "float_bytes": self._bytes("*.sqlite3")}


class MilvusLite(_Embedded):
    """Its HNSW over float32, in its embedded form."""

    name = "milvus-lite"
    knob, settings = "ef", (20, 40, 80, 160, 320)
    queries = 200
    described = {"index": "HNSW", "m": 16, "ef_construction": 64, "vectors": "float32"}

    def __init__(self, work: Path, corpus: Corpus) -> None:
        super().__init__(work, corpus)
        from pymilvus import MilvusClient

        self._client = MilvusClient(str(self.folder / "milvus.db"))

    def load(self) -> None:
        """Rows, a thousand at a time."""
        from pymilvus import DataType

        schema = self._client.create_schema(auto_id=False)
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=self.corpus.dimension)
        self._client.create_collection("vectors", schema=schema)
        for start, vectors in self.corpus.blocks():
            for at in range(0, len(vectors), 1_000):
                rows = enumerate(vectors[at : at + 1_000], start=start + at)
                self._client.insert("vectors", [{"id": n, "vector": row} for n, row in rows])
        self._client.flush("vectors")

    def index(self) -> None:
        """One HNSW."""
        parameters = self._client.prepare_index_params()
        parameters.add_index(
            "vector", index_type="HNSW", metric_type="IP", params={"M": 16, "efConstruction": 64}
        )
        self._client.create_index("vectors", parameters)
        self._client.load_collection("vectors")

    def open(self) -> None:
        """Into memory."""
        self._client.load_collection("vectors")

    def search(self, query: FloatArray, setting: int) -> Sequence[int]:
        """With `setting` as ef."""
        found = self._client.search(
            "vectors", [query], limit=HITS, search_params={"params": {"ef": setting}}
        )
        return [int(hit["id"]) for hit in found[0]]

    def sizes(self) -> dict[str, int]:
        """Files."""
        return {"index_bytes": self._bytes("*"), "float_bytes": 0}

    def close(self) -> None:
        """Stop its server."""
        self._client.close()
