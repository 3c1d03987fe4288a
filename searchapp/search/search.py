"""search: a query to hits. The stages are elsewhere; here are their order and their clock."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from searchapp import access
from searchapp.access import Actor
from searchapp.engine import FloatArray
from searchapp.errors import InvalidInput
from searchapp.models import Index
from searchapp.models.indexes import index_active
from searchapp.search.asked import (
    Asked,
    asked_get,
    asked_vector,
    pictures_asked,
    required_get,
    words_weighted,
)
from searchapp.search.checks import query_check
from searchapp.search.examples import examples_get, feedback
from searchapp.search.hits import hits_get
from searchapp.search.places import COUNTED, facets_count, pages_blank, places_get
from searchapp.search.query import Query
from searchapp.search.scope import Condition, scope_get
from searchapp.search.stages.background import Kind, background_get
from searchapp.search.stages.fuse import fuse
from searchapp.search.stages.lexical import is_telling, lexical_search
from searchapp.search.stages.pictures import pictures_search
from searchapp.search.stages.statement import time_limit_told
from searchapp.search.stages.vectors import lanes_scored, lanes_search
from searchapp.search.syntax import Wording, condition
from searchapp.search.turns import picture_turn
from searchapp.search.types import Answer, LexicalHit, Question, Ranked, Scope, Stage

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
    with time_limit_told(), _field_told(), picture_turn(query):
        return _search(actor, query, index or index_active(), _Clock())


@dataclass(frozen=True, slots=True)
class _Sought:
    """A query made ready, which may be looked for in more than one scope.

    vectors: by lane. words: to look up, with their weights. depth: pages of each stage.
    """

    index: Index
    query: Query
    asked: Asked
    vectors: dict[str, FloatArray]
    words: list[tuple[str, float]]
    depth: int


def _search(actor: Actor, query: Query, index: Index, clock: _Clock) -> Answer:
    required = required_get(query)
    words_condition = condition(required)
    with clock.stage("scope") as count:
        scope = scope_get(actor, query.filters, words_condition)
        count((scope.pages.count or 0) if scope.pages else 0)
    sought = _sought(actor, query, required, index, clock)
    ranked = _ranked(sought, scope, clock)
    with clock.stage("show") as count:
        shown = hits_get(actor, scope, ranked, query, required.plain)
        facets = dict(shown.facets)
        for name in query.filters.counted if query.facets else ():
            facets[name] = _without(name, actor, sought, words_condition)
        count(len(shown.hits))
    described: dict[str, object] = {
        "id": index.pk,
        "model": index.model,
        "revision": index.revision,
        "dimension": index.dimension,
    }
    nothing = _nothing(sought)
    return Answer(shown.hits, tuple(clock.stages), described, _ms(clock.began), facets, nothing)


def _nothing(sought: _Sought) -> str:
    if not sought.vectors:
        return "The picture shows no words, and no page that you may see shows the picture."
    filters = " and its filters" if sought.query.filters.narrowing else ""
    return f"No page that you may see matches the query{filters}."


def _sought(actor: Actor, query: Query, required: Wording, index: Index, clock: _Clock) -> _Sought:
    space, weight = index.space, query.image_weight
    examples = len(query.like) + len(query.unlike)
    with clock.stage("read") as count:
        asked = asked_get(query, required, space)
        count(len(asked.pictures))
    with clock.stage("embed") as count:
        vector = asked_vector(asked, weight, space)
        lanes = lanes_scored(space.spec.lanes)
        by_lane = {lane: vector for lane in lanes if vector is not None}
        vectors = feedback(by_lane, examples_get(actor, index, query))
        count(len(asked.parts) + examples)
    depth = query.limit * LANE_DEPTH
    if query.facets or query.group:
        depth = max(depth, COUNTED)
    return _Sought(index, query, asked, vectors, words_weighted(asked, weight), depth + examples)


def _ranked(sought: _Sought, scope: Scope, clock: _Clock) -> list[Ranked]:
    query, asked, pages = sought.query, sought.asked, sought.depth
    with clock.stage("words") as count:
        lexical = _words_found(sought, scope)
        count(len({hit.page_id for hit in lexical}))
    with clock.stage("pictures") as count:
        shows = pictures_search(pictures_asked(query), scope, pages=pages)
        count(len(shows))
    with clock.stage("prefilter + rerank") as count:
        found = lanes_search(
            sought.index,
            sought.vectors,
            scope,
            pages=pages,
            oversampling=query.oversampling,
            named=[*{hit.page_id for hit in lexical}, *(hit.page_id for hit in shows)],
        )
        count(sum(found.candidates.values()))
    with clock.stage("background"):
        kind: Kind = "page" if asked.pictures or query.like else "words"
        background = background_get(sought.index, kind)
    with clock.stage("fuse") as count:
        blank = pages_blank(hit.page_id for hit in found.hits.get("text", ()))
        fused = fuse(
            found.hits, lexical, background, shows, question=_question(sought), blank=blank
        )
        examples = {*query.like, *query.unlike}
        ranked = [page for page in fused if page.page_id not in examples]
        count(len(ranked))
    return ranked


def _without(
    name: str, actor: Actor, sought: _Sought, words_condition: Condition
) -> dict[str, int]:
    """The values of a filter counted as if it were not set: what a second value would add."""
    cleared: dict[str, Any] = {name: ()}
    scope = scope_get(actor, replace(sought.query.filters, **cleared), words_condition)
    return facets_count(places_get(actor, _ranked(sought, scope, _Clock())))[name]


def _words_found(sought: _Sought, scope: Scope) -> list[LexicalHit]:
    """Pages by the words, those that hold most of what weighs most first."""
    found = [
        replace(hit, weight=weight)
        for text, weight in sought.words
        for hit in lexical_search(text, scope, pages=sought.depth)
    ]
    if len(sought.words) > 1:
        found.sort(key=lambda hit: -hit.weight * hit.share)
    return found


def _question(sought: _Sought) -> Question:
    asked, weight = sought.asked, sought.query.image_weight
    is_quoted = bool(asked.required.phrases)
    return Question(
        picture_weight=1.0 if weight is None or not asked.words else weight,
        is_quoted=is_quoted,
        is_telling=is_quoted
        or bool(asked.pictures or sought.query.like)
        or is_telling(asked.required.plain),
    )


@contextmanager
def _field_told() -> Iterator[None]:
    """What the engine refuses of a search, like a damaged picture, is the query's."""
    try:
        yield
    except InvalidInput as error:
        error.field = error.field or "query"
        raise


def _ms(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 2)
