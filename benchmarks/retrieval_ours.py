"""searchapp in the retrieval benchmark: its own tables, its own statement, also with filters."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import Row, percentile
from benchmarks.retrieval_corpus import HITS, Corpus
from benchmarks.retrieval_postgres import Cluster
from benchmarks.retrieval_rows import embeddings_copy, pages_make
from benchmarks.retrieval_run import timed
from embedding_engine.types import FloatArray

# Of every hundred pages so many are in the collection; scattered, as if uploaded in turn.
SHARES = (1, 5, 20, 50, 24)
_FILTERED_QUERIES = 100


class Searchapp:
    """One text unit a page, all in one index; asked as the API asks, by `lanes_search`."""

    knob, settings, queries = "oversampling", (4, 6, 8, 12, 16), 500

    def __init__(self, work: Path, corpus: Corpus) -> None:
        self.corpus = corpus
        self.cluster = Cluster(work)
        self.cluster.migrate()
        from searchapp.models import Collection, Index

        self._model = f"corpus-{corpus.rows}"
        self._index = Index.objects.filter(model=self._model, dimension=corpus.dimension).first()
        self._all: tuple[int, ...] = tuple(
            Collection.objects.filter(slug__startswith=f"{self._model}-")
            .order_by("pk")
            .values_list("pk", flat=True)
        )
        from searchapp.indexing.hnsw import EF_CONSTRUCTION, M

        self.described: dict[str, Any] = {"m": M, "ef_construction": EF_CONSTRUCTION}

    def load(self) -> None:
        """Pages, then their embeddings without HNSW, by binary COPY."""
        from django.db import connection

        from searchapp.indexing.partitions import partition_create
        from searchapp.models import Collection, Index

        named = [f"{self._model}-{share}" for share in SHARES]
        made = Collection.objects.bulk_create(Collection(name=n, slug=n) for n in named)
        self._all = tuple(collection.pk for collection in made)
        self._index = Index.objects.create(
            model=self._model, revision="-", dimension=self.corpus.dimension
        )
        partition_create(self._index)
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 0")
            # The rows refer to each other rightly; checking that is not what is measured.
            cursor.execute("SET session_replication_role = replica")
            pages_make(cursor, self._first_page, self.corpus.rows, self._of_hundred())
            for start, vectors in self.corpus.blocks():
                rows = np.arange(start, start + len(vectors))
                at = self._first_page + rows, self._collections()[rows]
                embeddings_copy(cursor, self._index.pk, *at, vectors)
            cursor.execute("SET session_replication_role = origin")

    def _collections(self) -> np.ndarray:
        """(rows,) the collection of each row."""
        collections: np.ndarray = np.array(self._of_hundred())[np.arange(self.corpus.rows) % 100]
        return collections

    def _of_hundred(self) -> list[int]:
        """The collections of a hundred rows."""
        return [int(one) for one in np.repeat(self._all, SHARES)]

    @property
    def _first_page(self) -> int:
        """Ids of corpora lie apart."""
        return self.corpus.rows * 10

    def index(self) -> None:
        """The product's own CREATE INDEX, then the statistics and the visibility map."""
        from django.db import connection

        from searchapp.indexing.hnsw import hnsw_create

        assert self._index is not None
        hnsw_create(self._index)
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 0")
            cursor.execute(f"VACUUM ANALYZE searchapp_embedding_{self._index.pk}")
            cursor.execute("ANALYZE searchapp_page")

    def open(self) -> None:
        """Read graph, bits and floats into memory, as use would."""
        from django.db import connection

        assert self._index is not None
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 0")
            cursor.execute(
                f"SELECT sum(vector_dims(vec)) FROM searchapp_embedding_{self._index.pk}"
            )

    def search(self, query: FloatArray, setting: int) -> Sequence[int]:
        """As the API does with limit 10, over everything."""
        return self._search(query, setting, None)

    def _search(
        self, query: FloatArray, setting: int, collections: tuple[int, ...] | None
    ) -> Sequence[int]:
        from searchapp.search.search import LANE_DEPTH
        from searchapp.search.stages.vectors import lanes_search
        from searchapp.search.types import Scope

        assert self._index is not None
        answer = lanes_search(
            *(self._index, {"text": query}, Scope(collections)),
            pages=HITS * LANE_DEPTH,
            oversampling=setting,
        )
        self.method = answer.method
        return [hit.page_id - self._first_page for hit in answer.hits["text"][:HITS]]

    def sizes(self) -> dict[str, int]:
        """Hot: graph (which holds the bits), rows without floats, their key. Floats: TOAST."""
        from django.db import connection

        assert self._index is not None
        table = f"searchapp_embedding_{self._index.pk}"
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_relation_size(%s), pg_relation_size(%s), pg_indexes_size(%s),"
                " pg_total_relation_size(reltoastrelid) FROM pg_class WHERE oid = %s::regclass",
                [f"{table}_bits_text", table, table, table],
            )
            graph, rows, indexes, floats = cursor.fetchone()
        hot = {"index_bytes": graph + rows, "graph_bytes": graph, "row_bytes": rows}
        return {**hot, "other_index_bytes": indexes - graph, "float_bytes": floats}

    def pids(self) -> list[int]:
        """The server's processes and this one, which sends the rows."""
        import os

        return [self.cluster.pid, os.getpid()]

    def more(self, setting: int) -> list[Row]:
        """The same with rights on a part of the pages."""
        rows = []
        for collection, share in zip(self._all, SHARES, strict=True):
            among = self._collections() == collection
            truth = self.corpus.truth_among(among, f"share{share}")[:_FILTERED_QUERIES]
            took, recall = timed(
                partial(self._search, setting=setting, collections=(collection,)),
                self.corpus.queries[:_FILTERED_QUERIES],
                truth,
            )
            at = {"rows": self.corpus.rows, "share": share / 100, "method": self.method}
            rows += [
                Row("searchapp", "recall_at_10", recall, "share", at),
                Row("searchapp", "p50_ms", percentile(took, 0.5), "ms", at),
                Row("searchapp", "p95_ms", percentile(took, 0.95), "ms", at),
            ]
        return rows

    def close(self) -> None:
        """Stop the cluster."""
        self.cluster.close()
