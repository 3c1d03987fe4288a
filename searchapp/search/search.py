"""search: a query to hits. The stages are elsewhere; here are their order and their clock."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import OperationalError
from psycopg.errors import QueryCanceled

from searchapp import access
from searchapp.access import Actor
from searchapp.errors import Unavailable
from searchapp.models import Index
from searchapp.models.indexes import index_active
from searchapp.search.asked import asked_get, asked_vector, pictures_asked, required_get, words_text
from searchapp.search.checks import query_check
from searchapp.search.examples import examples_get, feedback
from searchapp.search.hits import hits_get
from searchapp.search.query import Query
from searchapp.search.scope import scope_get
from searchapp.search.stages.background import background_get
from searchapp.search.stages.fuse import fuse
from searchapp.search.stages.lexical import lexical_search
from searchapp.search.stages.pictures import pictures_search
from searchapp.search.stages.vectors import lanes_scored, lanes_search
from searchapp.search.syntax import condition
from searchapp.search.turns import picture_turn
from searchapp.search.types import Answer, Stage

# Fused lists are cut here: deeper pages of one lane hardly ever reach the top of the fused list.
LANE_DEPTH = 3


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


def search_pages(*, actor: Actor, query: Query, index: Index | None = None) -> Answer:
    """The best pages the actor may see. Raises InvalidInput (field named), Unavailable.

    `index`: asked instead of the active one. It is read once: query and vectors are of one model,
    whatever becomes active meanwhile.
    """
    access.require_scope(actor, "search")
    query_check(query)
    with _time_limit_told(), picture_turn(query):
        return _search(actor, query, index or index_active(), _Clock())


def _search(actor: Actor, query: Query, index: Index, clock: _Clock) -> Answer:
    space, weight = index.space, query.image_weight
    pages = query.limit * LANE_DEPTH + len(query.like) + len(query.unlike)
    with clock.stage("scope") as count:
        required = required_get(query)
        scope = scope_get(actor, query.filters, condition(required))
        count((scope.pages.count or 0) if scope.pages else 0)
    with clock.stage("read") as count:
        asked = asked_get(query, required, space)
        count(len(asked.pictures))
    with clock.stage("embed") as count:
        vector = asked_vector(asked, weight, space)
        lanes = lanes_scored(space.spec.lanes)
        by_lane = {lane: vector for lane in lanes if vector is not None}
        vectors = feedback(by_lane, examples_get(actor, index, query))
        count(len(asked.parts) + len(query.like) + len(query.unlike))
    with clock.stage("words") as count:
        lexical = lexical_search(words_text(asked, weight), scope, pages=pages)
        count(len(lexical))
    with clock.stage("pictures") as count:
        shows = pictures_search(pictures_asked(query), scope, pages=pages)
        count(len(shows))
    with clock.stage("prefilter + rerank") as count:
        found = lanes_search(
            index,
            vectors,
            scope,
            pages=pages,
            oversampling=query.oversampling,
            named=[*(hit.page_id for hit in lexical), *(hit.page_id for hit in shows)],
        )
        count(sum(found.candidates.values()))
    with clock.stage("background"):
        background = background_get(index, "page" if asked.pictures or query.like else "words")
    with clock.stage("fuse") as count:
        fused = fuse(found.hits, lexical, background, shows)
        examples = {*query.like, *query.unlike}
        ranked = [page for page in fused if page.page_id not in examples]
        count(len(ranked))
    with clock.stage("show") as count:
        shown = hits_get(actor, scope, ranked, query, required.plain)
        count(len(shown.hits))
    described: dict[str, object] = {
        "id": index.pk,
        "model": index.model,
        "revision": index.revision,
        "dimension": index.dimension,
    }
    return Answer(shown.hits, tuple(clock.stages), described, _ms(clock.began), shown.facets)


@contextmanager
def _time_limit_told() -> Iterator[None]:
    """A statement that Postgres ended for its time is no fault, but too much to do now."""
    try:
        yield
    except OperationalError as error:
        if not isinstance(error.__cause__, QueryCanceled):
            raise
        raise Unavailable(
            "search_timeout", "The search took too long: narrow it, or try again."
        ) from error


def _ms(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 2)
