"""search: a query to hits. Embeds, prefilters and reranks lanes, looks up words, fuses, groups."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from searchapp import access, engine
from searchapp.access import Actor
from searchapp.models.indexes import index_active
from searchapp.search.checks import query_check
from searchapp.search.hits import hits_get
from searchapp.search.query import Query
from searchapp.search.scope import scope_get
from searchapp.search.stages.fuse import fuse
from searchapp.search.stages.lexical import lexical_search
from searchapp.search.stages.vectors import lanes_search
from searchapp.search.types import Answer, Stage

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
        count((scope.pages.count or 0) if scope.pages else 0)
    with clock.stage("read") as count:
        parts = engine.read_pictures(query.parts)
        count(sum(isinstance(part, engine.ImagePart) for part in parts))
    with clock.stage("embed") as count:
        vector = engine.embed_query(parts)
        count(len(parts))
    with clock.stage("words") as count:
        lexical = lexical_search(_words(parts), scope, pages=query.limit * _LANE_DEPTH)
        count(len(lexical))
    with clock.stage("prefilter + rerank") as count:
        found = lanes_search(
            index,
            dict.fromkeys(engine.spec().lanes, vector),
            scope,
            pages=query.limit * _LANE_DEPTH,
            oversampling=query.oversampling,
            named=[hit.page_id for hit in lexical],
        )
        count(sum(found.candidates.values()))
    with clock.stage("fuse") as count:
        ranked = fuse(found.hits, lexical)
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


def _words(parts: Sequence[engine.Part]) -> str:
    """What was written, and what was read on the pictures."""
    return " ".join(part.text for part in parts if part.text)


def _ms(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 2)
