"""pgvector's float HNSW (halfvec), and its exact float scan, in the cluster of the benchmark."""

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psycopg

from benchmarks.report import Row
from benchmarks.retrieval_corpus import HITS, Corpus
from benchmarks.retrieval_postgres import Cluster
from embedding_engine.types import FloatArray

_HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)


class _Table:
    """A table of a number and a halfvec, shared by both systems; one connection a thread."""

    described: dict[str, Any]

    def __init__(self, work: Path, corpus: Corpus) -> None:
        self.corpus = corpus
        self.cluster = Cluster(work)
        self.table = f"halfvec_{corpus.rows}_{corpus.dimension}"
        self._local = threading.local()
        self.described = {"m": 16, "ef_construction": 64, "type": "halfvec"}

    def connection(self) -> psycopg.Connection[Any]:
        """This thread's own."""
        if not hasattr(self._local, "connection"):
            from searchapp.environment import data_dir_get
            from searchapp.services.addresses import embedded_database_url

            url = embedded_database_url(data_dir_get())
            made = psycopg.connect(url, autocommit=True, prepare_threshold=0)
            made.execute("SET jit = off")
            self._local.connection = made
        connection: psycopg.Connection[Any] = self._local.connection
        return connection

    def load(self) -> None:
        """Binary COPY, when the other system has not done it."""
        kind = f"halfvec({self.corpus.dimension})"
        found = self.connection().execute("SELECT to_regclass(%s)", [self.table]).fetchone()
        if found != (None,):
            return
        self.connection().execute(f"CREATE TABLE {self.table} (id bigint, vec {kind})")
        copied = f"COPY {self.table} FROM STDIN (FORMAT binary)".encode()
        for start, vectors in self.corpus.blocks():
            with self.connection().cursor().copy(copied) as copy:
                copy.write(_HEADER + _rows(start, vectors).tobytes() + b"\xff\xff")
        self.connection().execute(f"VACUUM ANALYZE {self.table}")

    def _near(self, query: FloatArray, settings: str) -> list[int]:
        sql = f"SELECT id FROM {self.table} ORDER BY vec <#> %b::halfvec LIMIT {HITS}"
        connection = self.connection()
        if getattr(self._local, "settings", "") != settings:
            connection.execute(settings, prepare=False)
            self._local.settings = settings
        text = "[" + ",".join(map(str, query.tolist())) + "]"
        return [row[0] for row in connection.execute(sql.replace("%b", "%s"), [text])]

    def pids(self) -> list[int]:
        """The server's processes and this one."""
        return [self.cluster.pid, os.getpid()]

    def more(self, setting: int) -> list[Row]:
        """Nothing more."""
        return []

    def close(self) -> None:
        """Stop the cluster."""
        self.cluster.close()


class HalfvecHnsw(_Table):
    """HNSW on the floats, as pgvector's README has it: settings by default."""

    knob, settings, queries = "ef_search", (40, 80, 120, 160, 240, 320, 480, 640, 800), 500

    def index(self) -> None:
        """With the memory that the graph needs."""
        with self.connection().cursor() as cursor:
            cursor.execute("SET maintenance_work_mem = '7GB'")
            cursor.execute(
                f"CREATE INDEX IF NOT EXISTS {self.table}_hnsw ON {self.table} "
                "USING hnsw (vec halfvec_ip_ops) WITH (m = 16, ef_construction = 64)"
            )

    def open(self) -> None:
        """Read the graph into memory."""
        self.connection().execute(f"SELECT sum(vector_dims(vec)) FROM {self.table}")

    def search(self, query: FloatArray, setting: int) -> Sequence[int]:
        """Prepared."""
        return self._near(query, f"SET enable_seqscan = off; SET hnsw.ef_search = {setting}")

    def sizes(self) -> dict[str, int]:
        """Hot: the graph, which holds the floats once more."""
        row = self.connection().execute(
            "SELECT pg_relation_size(%s), pg_total_relation_size(reltoastrelid)"
            " FROM pg_class WHERE oid = %s::regclass",
            [f"{self.table}_hnsw", self.table],
        )
        graph, floats = row.fetchone() or (0, 0)
        return {"index_bytes": graph, "float_bytes": floats}


class ExactFloat(_Table):
    """Every float compared, by pgvector, with as many processes as Postgres gives a query."""

    knob, settings, queries = "exact", (1,), 10

    def index(self) -> None:
        """None."""

    def open(self) -> None:
        """Nothing to read before."""

    def search(self, query: FloatArray, setting: int) -> Sequence[int]:
        """A sequential scan."""
        return self._near(query, "SET enable_indexscan = off; SET enable_seqscan = on")

    def sizes(self) -> dict[str, int]:
        """No index."""
        sql = "SELECT pg_total_relation_size(reltoastrelid) FROM pg_class WHERE oid = %s::regclass"
        row = self.connection().execute(sql, [self.table]).fetchone() or (0,)
        return {"index_bytes": 0, "float_bytes": row[0]}


def _rows(start: int, vectors: FloatArray) -> np.ndarray:
    """Rows in Postgres's binary format: big-endian, each field after its length."""
    dimension = vectors.shape[1]
    kind = [("fields", ">i2"), ("id_size", ">i4"), ("id", ">i8"), ("vec_size", ">i4")]
    kind += [("count", ">i2"), ("unused", ">i2")]
    rows = np.zeros(len(vectors), dtype=[*kind, ("vec", ">f2", (dimension,))])
    rows["fields"], rows["id_size"], rows["id"] = 2, 8, np.arange(start, start + len(vectors))
    rows["vec_size"], rows["count"] = 4 + 2 * dimension, dimension
    rows["vec"] = vectors.astype(np.float16)
    return rows
