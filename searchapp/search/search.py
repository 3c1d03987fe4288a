"""search: a query to hits. Embeds, prefilters and reranks lanes, looks up words, fuses, groups."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from django.db.models import QuerySet

from searchapp import access, engine
from searchapp.access import Actor
from searchapp.models import Document, Index
from searchapp.models.indexes import index_active
from searchapp.search.hits import hits_get
from searchapp.search.query import Filters, Query, collections_allowed, query_check
from searchapp.search.stages.fuse import fuse
from searchapp.search.stages.lexical import lexical_search
from searchapp.search.stages.vectors import lane_search
from searchapp.search.types import Answer, LaneHit, Scope, Stage

# Fused lists are cut here: deeper pages of one lane hardly ever reach the top of the fused list.
_LANE_DEPTH = 3


class _Clock:
    """Collects the stages of one search."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.stages: list[Stage] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[Callable[[int], None]]:
        began, counts = time.perf_counter(), [0]
        yield lambda count: counts.__setitem__(0, count)
        self.stages.append(Stage(name, counts[0], _ms(began)))


def search_pages(*, actor: Actor, query: Query) -> Answer:
    """The best pages the actor may see. Raises InvalidInput (field named), Unavailable."""
    access.require_scope(actor, "search")
    query_check(query)
    clock = _Clock()
    index = index_active()
    with clock.stage("scope") as count:
        scope = scope_get(actor, query.filters)
        count(len(scope.documents or ()))
    with clock.stage("read") as count:
        parts = engine.read_pictures(query.parts)
        count(sum(isinstance(part, engine.ImagePart) for part in parts))
    with clock.stage("embed") as count:
        vector = engine.embed_query(parts)
        count(len(parts))
    with clock.stage("words") as count:
        lexical = lexical_search(_words(parts), scope, pages=query.limit * _LANE_DEPTH)
        count(len(lexical))
    named = [hit.page_id for hit in lexical]
    lanes: dict[str, list[LaneHit]] = {
        lane: _lane(clock, index, lane, vector, scope, query, named) for lane in engine.spec().lanes
    }
    with clock.stage("fuse") as count:
        ranked = fuse(lanes, lexical)
        count(len(ranked))
    with clock.stage("show") as count:
        hits = hits_get(actor, ranked, query)
        count(len(hits))
    described: dict[str, object] = {
        "model": index.model,
        "revision": index.revision,
        "dimension": index.dimension,
    }
    return Answer(hits, tuple(clock.stages), described, _ms(clock.began))


def scope_get(actor: Actor, filters: Filters) -> Scope:
    """Rights and filters as ids. Raises InvalidInput for unknown collections."""
    collections = collections_allowed(actor, filters)
    documents: tuple[int, ...] | None = None
    if not filters.is_empty:
        found = access.visible_documents(actor)
        if collections is not None:
            found = found.filter(collection_id__in=collections)
        documents = tuple(_matching(found, filters).values_list("pk", flat=True))
    return Scope(None if collections is None else tuple(collections), documents)


def _matching(documents: QuerySet[Document], filters: Filters) -> QuerySet[Document]:
    if filters.documents:
        documents = documents.filter(pk__in=filters.documents)
    if filters.types:
        documents = documents.filter(kind__in=filters.types)
    if filters.tags:
        documents = documents.filter(tags__overlap=list(filters.tags))
    return documents


def _words(parts: Sequence[engine.Part]) -> str:
    """What was written, and what was read on the pictures."""
    return " ".join(part.text for part in parts if part.text)


def _lane(
    clock: _Clock,
    index: Index,
    lane: str,
    vector: engine.FloatArray,
    scope: Scope,
    query: Query,
    named: list[int],
) -> list[LaneHit]:
    with clock.stage(f"{lane} prefilter + rerank") as count:
        hits, candidates = lane_search(
            index,
            lane,
            vector,
            scope,
            pages=query.limit * _LANE_DEPTH,
            oversampling=query.oversampling,
            named=named,
        )
        count(candidates)
    return hits


def _ms(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 2)
