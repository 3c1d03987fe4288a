"""Binary prefilter and float rerank of all lanes of a query, in one SQL round trip.

In each lane the units nearest by Hamming distance are the candidates: by the lane's HNSW index, or,
where few rows are in scope, by comparing each of them. Every page that is a candidate in any lane,
and those named, then gets its best cosine in every lane, also in those that are not searched
(passages). Figures: docs/decisions/0004-two-stages.md
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from searchapp.engine import FloatArray
from searchapp.models import Embedding, Index
from searchapp.models.literals import bits_literal, vector_literal
from searchapp.search.stages.estimate import rows_estimate
from searchapp.search.stages.statement import Statement, statement_run
from searchapp.search.types import LaneAnswer, LaneHit, Scope

Method = Literal["hnsw", "exact"]

# Comparing a row costs 0.5 us, one of the walk's width 20 us.
WIDTH_ROWS = 40
ALWAYS_EXACT_ROWS = 5_000
MAX_CANDIDATES = 20_000
_LEAST_CANDIDATES = 40
# Of a page's units in a lane, those whose floats are read: nearest by Hamming distance first.
UNITS = 3

_SETTINGS: dict[str, object] = {
    "hnsw.iterative_scan": "strict_order",
    "hnsw.max_scan_tuples": 20_000,
}

_NEAR = """near_{lane} AS MATERIALIZED (
    SELECT page_id, position, distance, -(vec <#> %(vec_{lane})s::halfvec({d})) AS score
    FROM (
        SELECT page_id, position, vec, {distance} AS distance
        FROM searchapp_embedding AS unit
        WHERE index_id = {index} AND lane = '{lane}' {where}
        ORDER BY {order} LIMIT {candidates}
    ) AS nearest
)"""

_STATEMENT = """WITH {near}, wanted AS MATERIALIZED (
    {pages} UNION SELECT unnest(%(named)s::bigint[])
)
SELECT * FROM ({best}) AS best ORDER BY lane, score DESC, page_id"""

# Floats are read of the candidates. The best pages among them, and those that are none in this
# lane, may have units that are nearer still: of each its {units} nearest are read.
_BEST = """(
    SELECT DISTINCT ON (page_id) '{lane}' AS lane, page_id, score, distance, position,
        found.units, found.pages
    FROM ({near} SELECT page.id, nearest.position, nearest.distance,
            -(vec <#> %(vec_{lane})s::halfvec({d}))
        FROM ({others}) AS page (id) CROSS JOIN LATERAL (
            SELECT position, vec, ({distance}) + 0 AS distance
            FROM searchapp_embedding AS unit
            WHERE index_id = {index} AND lane = '{lane}' AND unit.page_id = page.id
            ORDER BY distance, position LIMIT {units}
        ) AS nearest
    ) AS read (page_id, position, distance, score), ({found}) AS found (units, pages)
    ORDER BY page_id, score DESC, position
)"""

_PAGES = "SELECT page_id FROM near_{lane}"
_SEARCHED = {
    "near": "TABLE near_{lane} UNION ALL",
    "others": (
        "(TABLE wanted EXCEPT SELECT page_id FROM near_{lane}) UNION (SELECT page_id"
        " FROM near_{lane} GROUP BY page_id ORDER BY max(score) DESC LIMIT {pages})"
    ),
    "found": "SELECT count(*), count(DISTINCT page_id) FROM near_{lane}",
}
_NOT_SEARCHED = {"near": "", "others": "TABLE wanted", "found": "SELECT 0, 0"}

# A scalar subselect is asked for each unit that the walk meets; IN would become a join or a hash of
# all matching pages, and the walk a sort of everything.
_PASSES = """ AND (
    SELECT true FROM ({pages}) AS matching (id) WHERE matching.id = unit.page_id LIMIT 1
)"""


def lanes_search(
    index: Index,
    vectors: Mapping[str, FloatArray],
    scope: Scope,
    *,
    pages: int,
    oversampling: int,
    named: Sequence[int] = (),
    method: Method | None = None,
) -> LaneAnswer:
    """The `pages` best pages of each lane, every one of them and the `named` in all lanes.

    vectors: by lane, (D,) unit length. named: ids of pages in scope that are scored in any case.
    method: how the prefilter looks, for those who measure; None: whichever looks at less.
    One page of many units must not fill the list: the candidates are multiplied until there are
    enough distinct pages or none are left. Raises Unavailable `search_timeout`.
    """
    if scope.is_empty or not vectors:
        return LaneAnswer({lane: [] for lane in vectors}, dict.fromkeys(vectors, 0), "exact")
    candidates = max(pages * oversampling, _LEAST_CANDIDATES)
    total, matching = rows_estimate(index, scope)
    method = method or method_choose(total, matching, candidates)
    while True:
        statement = lanes_statement(
            *(index, vectors, scope),
            pages=pages,
            candidates=candidates,
            method=method,
            width=ef_search(candidates, total, matching),
            named=named,
        )
        answer, distinct = _answer(vectors, statement_run(statement), method)
        short = [lane for lane in _searched(vectors) if distinct[lane] < pages]
        if not short:
            return answer
        if any(answer.candidates[lane] == candidates < MAX_CANDIDATES for lane in short):
            candidates = min(candidates * 4, MAX_CANDIDATES)
        elif method == "hnsw" and scope != Scope(None):
            # The walk ended at max_scan_tuples, or few rows are in scope: only a full look tells.
            method = "exact"
        else:
            return answer


def method_choose(total: float, matching: float, candidates: int) -> Method:
    """Whichever costs less: comparing the rows in scope, or a walk of `ef_search` width."""
    if matching <= ALWAYS_EXACT_ROWS:
        return "exact"
    return "exact" if matching * matching <= WIDTH_ROWS * candidates * total else "hnsw"


def lanes_statement(
    index: Index,
    vectors: Mapping[str, FloatArray],
    scope: Scope,
    *,
    pages: int,
    candidates: int,
    method: Method,
    width: int,
    named: Sequence[int] = (),
) -> Statement:
    """The one statement of a search: see the module. `candidates`: units in each lane.

    width: of the walk, where the method is `hnsw`.
    """
    parameters: dict[str, Any] = {"named": list(named)}
    near, found, best = [], [], []
    for lane, vector in vectors.items():
        parts = _parts(index, lane, method, pages)
        if lane in Embedding.SEARCHED:
            near.append(_NEAR.format(**parts, where=_where(scope, method), candidates=candidates))
            found.append(_PAGES.format(lane=lane))
        best.append(_BEST.format(**parts, units=UNITS))
        parameters |= {f"bits_{lane}": bits_literal(vector), f"vec_{lane}": vector_literal(vector)}
    if scope.collections is not None:
        parameters["collections"] = list(scope.collections)
    if scope.pages is not None:
        parameters |= scope.pages.parameters
    sql = _STATEMENT.format(
        near=", ".join(near), pages=" UNION ".join(found), best=" UNION ALL ".join(best)
    )
    settings = dict(_SETTINGS)
    if method == "hnsw":
        # Only the walk gives an order without a sort (of distances + 0 it gives none).
        settings |= {"hnsw.ef_search": width, "enable_sort": "off"}
    return Statement(settings, sql, parameters)


def lanes_scored(lanes: Iterable[str]) -> list[str]:
    """The lanes of an index whose model has `lanes`: where it reads texts, passages too."""
    found = list(map(str, lanes))
    return [*found, str(Embedding.Lane.PASSAGE)] if Embedding.Lane.TEXT in found else found


def _searched(lanes: Iterable[str]) -> list[str]:
    return [lane for lane in lanes if lane in Embedding.SEARCHED]


def ef_search(candidates: int, total: float, matching: float) -> int:
    """The width of the walk: so many that `candidates` of them pass the filter, and at least as
    wide as the graph is large.

    A walk may go on beyond its width, but what it then meets it has passed over before: at half of
    the pages in scope that lost 1 % of the true ten.
    """
    passing = matching / total if 0 < matching < total else 1.0
    return min(1000, max(int(candidates / passing), int(total**0.5 / 3)))


def _parts(index: Index, lane: str, method: Method, pages: int) -> dict[str, object]:
    """What the templates need; the lane is one of ours, never a caller's text."""
    d = index.dimension
    distance = f"bits::bit({d}) <~> %(bits_{Embedding.Lane(lane)})s::bit({d})"
    order = distance if method == "hnsw" else f"({distance}) + 0"
    read = _SEARCHED if lane in Embedding.SEARCHED else _NOT_SEARCHED
    return {
        **{part: template.format(lane=lane, pages=pages) for part, template in read.items()},
        "d": d,
        "index": index.pk,
        "lane": lane,
        "distance": distance,
        "order": order,
    }


def _where(scope: Scope, method: Method) -> str:
    clauses = ""
    if scope.collections is not None:
        clauses += " AND collection_id = ANY(%(collections)s)"
    if scope.pages is not None and method == "exact":
        clauses += f" AND page_id IN ({scope.pages.sql})"
    elif scope.pages is not None:
        clauses += _PASSES.format(pages=scope.pages.sql)
    return clauses


def _answer(
    lanes: Mapping[str, object], rows: list[tuple[Any, ...]], method: Method
) -> tuple[LaneAnswer, dict[str, int]]:
    """The answer, and how many distinct pages the prefilter found in each lane."""
    hits: dict[str, list[LaneHit]] = {lane: [] for lane in lanes}
    units, pages = dict.fromkeys(lanes, 0), dict.fromkeys(lanes, 0)
    for lane, page_id, score, distance, position, lane_units, lane_pages in rows:
        hits[lane].append(LaneHit(page_id, float(score), int(distance), position))
        units[lane], pages[lane] = lane_units, lane_pages
    return LaneAnswer(hits, units, method), pages
